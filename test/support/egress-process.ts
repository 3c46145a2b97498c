import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openEgressFolder } from '../../egress/authority-file.ts';
import { type HandToken, signToken } from '../../egress/hand-token.ts';
import { readKeys } from '../../egress/keys.ts';
import { COMPILED } from './used-state.ts';
import { waitFor } from './wait-for.ts';

const MAIN = fileURLToPath(new URL('../../workers/main.ts', import.meta.url));
const KEY = `k1 ${Buffer.alloc(32, 'k').toString('base64')}\n`;

const STARTS_WITHIN_MS = 60_000;

/** The proxy as it is shipped, in a process of its own. */
export interface EgressProcess {
  readonly process: ChildProcess;
  readonly port: number;
  readonly keysPath: string;
  /** Lines of its log after the first. */
  readonly lines: readonly LogLine[];
  /** The last line, once it is about `host`. */
  refusalOf(host: string): Promise<LogLine>;
  /** A token that this proxy takes from this machine. */
  token(change?: Partial<HandToken>): string;
  /** Value of a proxy variable. */
  url(token?: string): string;
  close(): Promise<void>;
}

export type LogLine = Readonly<Record<string, unknown>>;

export async function startEgress(
  privateNetworks: string,
  variables: NodeJS.ProcessEnv = {},
): Promise<EgressProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'drover-egress-'));
  const keysPath = join(folder, 'egress', 'keys');
  openEgressFolder(join(folder, 'egress'));
  writeFileSync(keysPath, KEY, { mode: 0o600 });
  const child = spawn(process.execPath, [MAIN], {
    env: {
      ...process.env,
      NODE_COMPILE_CACHE: COMPILED,
      ...variables,
      DROVER_ROLES: 'egress',
      DROVER_STATE_FOLDER: folder,
      DROVER_EGRESS_KEYS: keysPath,
      DROVER_EGRESS_PORT: '0',
      DROVER_EGRESS_PRIVATE_NETWORKS: privateNetworks,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: LogLine[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  // It is the whole worker's program, which a busy machine is slow to load.
  const { port } = await waitFor(
    'the proxy to listen',
    () => lines.shift(),
    STARTS_WITHIN_MS,
  ).catch((error: unknown) => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
    throw error;
  });
  const token: EgressProcess['token'] = (change = {}) =>
    signToken(readKeys(keysPath), {
      session: 'session-1',
      chain_id: 'chain-1',
      name: 'main',
      generation: 1,
      hand: 'hand-1',
      variables: [],
      repositories: [],
      addresses: ['127.0.0.1'],
      hosts: ['127.0.0.1'],
      expires: Math.floor(Date.now() / 1000) + 3600,
      ...change,
    });
  return {
    process: child,
    port: Number(port),
    keysPath,
    lines,
    refusalOf: (host) =>
      waitFor(`a line about ${host}`, () =>
        lines.at(-1)?.['host'] === host ? lines.at(-1) : false,
      ),
    token,
    url: (text = token()) => `http://hand:${text}@127.0.0.1:${port}`,
    async close() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      rmSync(folder, { recursive: true });
    },
  };
}
