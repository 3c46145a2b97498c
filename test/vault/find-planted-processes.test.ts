import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from 'vitest';
import { createCanaries } from './search/canaries.ts';
import { processesOf, processPlaces } from './search/process-places.ts';
import { type Hit, searchPlaces } from './search/search-places.ts';

const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) {
    const ended = once(child, 'close');
    process.kill(-(child.pid ?? 0), 'SIGKILL');
    await ended;
  }
});

/** A process that says a line when it is ready; it knows the text that its family is found by. */
async function start(
  command: readonly string[],
  options: { family: string; variables?: Record<string, string>; input?: string },
): Promise<number> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    env: { PATH: '/usr/bin:/bin', FAMILY: options.family, ...options.variables },
    stdio: ['pipe', 'pipe', 'inherit'],
    // A group of its own, which ends as a whole.
    detached: true,
  });
  children.push(child);
  child.stdin.end(options.input);
  await once(createInterface({ input: child.stdout }), 'line');
  return child.pid ?? 0;
}

/** Keeps a value as a program would, by the ways of its language alone. */
function holding(expression: string): string[] {
  const program = `
    const read = require('node:fs').readFileSync(0, 'utf8');
    globalThis.kept = ${expression};
    setInterval(() => globalThis.kept, 1000);
    console.log('ready');`;
  return [process.execPath, '--eval', program];
}

async function search(family: string, canaries: ReturnType<typeof createCanaries>): Promise<Hit[]> {
  return searchPlaces(canaries, processesOf(family).flatMap(processPlaces));
}

test.each<[string, string]>([
  ['a string', 'read'],
  ['a string with other signs', 'read.concat("…")'],
  ['bytes', 'Buffer.from(read)'],
  ['bytes out of the heap', 'Buffer.concat([Buffer.alloc(5_000_000, 1), Buffer.from(read)])'],
  ['bytes far behind', 'Buffer.concat([Buffer.alloc(30_000_000, 1), Buffer.from(read)])'],
  ['base64', 'btoa("user:".concat(read))'],
  ['a compressed request', 'require("node:zlib").gzipSync(read)'],
])('finds what a process holds as %s', async (_, expression) => {
  const canaries = createCanaries();
  const family = randomUUID();
  const pid = await start(holding(expression), { family, input: canaries.make('held') });
  const hits = await search(family, canaries);
  expect(hits).toContainEqual(
    expect.objectContaining({ place: `memory of process ${pid}`, canary: 'held' }),
  );
});

test('finds nothing in a process that holds nothing', async () => {
  const family = randomUUID();
  await start(holding('read'), { family, input: createCanaries().make('other') });
  expect(await search(family, createCanaries())).toEqual([]);
});

test('finds a variable, and what its process was started with', async () => {
  const canaries = createCanaries();
  const family = randomUUID();
  const variables = { TOKEN: canaries.make('variable') };
  const command = ['bash', '-c', `echo ready; sleep 60; : '${canaries.make('argument')}'`];
  const pid = await start(command, { family, variables });
  const hits = await search(family, canaries);
  expect(hits).toContainEqual(
    expect.objectContaining({ place: `environment of process ${pid}`, canary: 'variable' }),
  );
  expect(hits).toContainEqual(
    expect.objectContaining({ place: `command line of process ${pid}`, canary: 'argument' }),
  );
});

test('looks at children that forgot what they are of', async () => {
  const canaries = createCanaries();
  const family = randomUUID();
  const nested = `env -i bash --norc -c 'echo ready; sleep 60; : ${canaries.make('child').replaceAll(/[>&]/g, '')}'`;
  await start(['bash', '--norc', '-c', `${nested}; true`], { family });
  expect(await search(family, canaries)).toContainEqual(
    expect.objectContaining({ place: expect.stringMatching(/^command line/), canary: 'child' }),
  );
});
