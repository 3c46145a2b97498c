import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../support/wait-for.ts';

/** One page of a Chromium without a window. */
export interface Browser {
  open(url: string): Promise<void>;
  /** Opens a page, again when it does not come to show this, as a person would; gives what it shows. */
  openUntil(url: string, what: string, isShown: (text: string) => boolean): Promise<string>;
  /** What a person reads on the page. */
  text(): Promise<string>;
  evaluate(expression: string): Promise<unknown>;
  [Symbol.asyncDispose](): Promise<void>;
}

const START_MS = 30_000;
const SHOWN_MS = 15_000;
const ATTEMPTS = 3;

/** Of this machine; undefined when it has none. */
export function findChromium(): string | undefined {
  try {
    return execFileSync('sh', ['-c', 'command -v chromium || command -v chromium-browser'], {
      encoding: 'utf8',
    }).trim();
  } catch {
    return undefined;
  }
}

export async function startBrowser(program: string): Promise<Browser> {
  const folder = mkdtempSync(join(tmpdir(), 'drover-chromium-'));
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'];
  const words = [...flags, `--user-data-dir=${folder}`, '--remote-debugging-port=0', 'about:blank'];
  // A group of its own: it has many processes.
  const child = spawn(program, words, {
    stdio: 'ignore',
    detached: true,
    env: { ...process.env, HOME: folder },
  });
  const stop = async (): Promise<void> => {
    if (child.pid !== undefined && child.exitCode === null) {
      process.kill(-child.pid, 'SIGKILL');
      await once(child, 'exit');
    }
    await waitFor('files of the browser to be let go', () => removed(folder));
  };
  try {
    const port = await waitFor('the browser to listen', () => portIn(folder, child), START_MS);
    const found = await fetch(`http://127.0.0.1:${port}/json/list`);
    const pages = (await found.json()) as readonly { type: string; webSocketDebuggerUrl: string }[];
    const page = pages.find(({ type }) => type === 'page');
    return { ...(await talkTo(page?.webSocketDebuggerUrl ?? '')), [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function talkTo(url: string): Promise<Omit<Browser, typeof Symbol.asyncDispose>> {
  const socket = new WebSocket(url);
  await once(socket, 'open');
  const waiting = new Map<number, (result: unknown) => void>();
  socket.addEventListener('message', ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown };
    if (id !== undefined) waiting.get(id)?.(result);
  });
  let last = 0;
  const send = (method: string, params: object): Promise<unknown> => {
    last += 1;
    const id = last;
    return new Promise((resolve) => {
      waiting.set(id, resolve);
      socket.send(JSON.stringify({ id, method, params }));
    });
  };
  const evaluate: Browser['evaluate'] = async (expression) => {
    const params = { expression, awaitPromise: true, returnByValue: true };
    const answer = (await send('Runtime.evaluate', params)) as { result?: { value?: unknown } };
    return answer.result?.value;
  };
  const text: Browser['text'] = async () =>
    String(await evaluate('document.body?.innerText ?? ""'));
  const open: Browser['open'] = async (address) => {
    await send('Page.navigate', { url: address });
  };
  return {
    ...{ open, text, evaluate },
    async openUntil(address, what, isShown) {
      for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
        await open(address);
        const shown = async () => [await text()].find(isShown);
        const found = await waitFor(what, shown, SHOWN_MS).catch(() => undefined);
        if (found !== undefined) return found;
      }
      throw new Error(`${address} does not come to show ${what}, but: ${await text()}`);
    },
  };
}

function portIn(folder: string, child: ChildProcess): string | undefined {
  if (child.exitCode !== null) throw new Error(`the browser ended with ${child.exitCode}`);
  try {
    return readFileSync(join(folder, 'DevToolsActivePort'), 'utf8').split('\n')[0];
  } catch {
    return undefined;
  }
}

/** Its last processes still write there for a moment. */
function removed(folder: string): boolean {
  try {
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}
