import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type {
  ContainerProvider,
  ContainerProviderOptions,
} from '../../activities/hands/container/container-provider.ts';
import { EnvironmentDefinition } from '../../protocol/environment.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { ExecuteInput, HandInstance, ProvisionInput } from '../../protocol/hand.ts';
import { waitFor } from '../support/wait-for.ts';
import { openContainerWorker } from './container-worker.ts';

// Real processes: each "container" is a daemon that is started anew when it ends, in a new folder, as
// an engine does. What only an engine gives is tested in test/compose.

const never = new AbortController().signal;
const UNWATCHED = { interrupt: never, detach: never, onProgress: () => {} };
const environment = { id: null, version: null, definition: EnvironmentDefinition.parse({}) };

let folder: string;
let closing: (() => unknown)[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'drover-containers-'));
  mkdirSync(join(folder, 'doors'));
  closing = [];
});

afterEach(async () => {
  for (const close of closing.reverse()) await close();
  rmSync(folder, { recursive: true, force: true });
});

describe('a claim', () => {
  test("is one session's alone, whoever asks at once", async () => {
    startContainers(4);
    const workers = [await worker(), await worker()];
    const inputs = ['a', 'b', 'c', 'd'].map((id) => provisionOf(id));
    const hands = await Promise.all(
      inputs.map((input, index) => provided(workers[index % 2] as ContainerProvider, input)),
    );
    expect(new Set(hands.map(({ instance }) => instance)).size).toBe(4);
    for (const [index, hand] of hands.entries()) {
      const { content } = await run(workers[0] as ContainerProvider, hand, `echo ${index}; ls`);
      expect(content).toEqual([{ type: 'text', text: String(index) }]);
    }
  });

  test('is found again by the attempt after a worker that was killed', async () => {
    startContainers(3);
    const input = provisionOf('killed');
    const killed = workerProcess({ provision: input });
    const [claim] = await waitFor('a claim', () => (claims().length > 0 ? claims() : undefined));
    killed.kill('SIGKILL');
    const hand = await provided(await worker(), input);
    expect(hand.instance).toBe(claim?.instance);
    expect(claims()).toHaveLength(1);
  });

  test('of a hand that has ended meanwhile is made anew', async () => {
    const [container] = startContainers(1);
    const first = await worker();
    const input = provisionOf('ended');
    const before = await provided(first, input);
    container?.kill();
    const after = await provided(first, input);
    expect(after.instance).not.toBe(before.instance);
    expect(after.instance.split('.')[0]).toBe(before.instance.split('.')[0]);
  });

  test('that was given up ends its hand when that comes', async () => {
    const [container] = startContainers(1);
    const first = await worker();
    await provided(first, provisionOf('given-up'));
    await first.close();
    for (const name of readdirSync(join(folder, 'claims'))) rmSync(join(folder, 'claims', name));
    const starts = container?.starts() ?? 0;
    await worker();
    await waitFor('the hand to end', () => (container?.starts() ?? 0) > starts);
  });

  test('waits for a free hand, and says what to do when there is none', async () => {
    startContainers(1);
    const first = await worker();
    const hand = await provided(first, provisionOf('holder'));
    const impatient = await worker({ startMs: 500 });
    await expect(impatient.provision(provisionOf('waiting'))).rejects.toMatchObject({
      type: FAILURE.sandboxUnschedulable,
      message: expect.stringContaining('DROVER_HANDS'),
    });
    const patient = await worker();
    const waiting = provided(patient, provisionOf('patient'));
    await first.release({ hand, keep_workspace: false });
    expect((await waiting).instance).not.toBe(hand.instance);
  });

  test('of a session that is closed goes at the second look, of one that is open never', async () => {
    const containers = startContainers(2);
    const first = await worker();
    await provided(first, provisionOf('open'));
    await provided(first, provisionOf('closed'));
    const chains = {
      verifyNamespace: async () => {},
      stateOf: async (id: string) => (id === 'open' ? 'open' : 'closed'),
    } as const;
    await first.sweep(chains);
    expect(
      claims()
        .map(({ session_id }) => session_id)
        .sort(),
    ).toEqual(['closed', 'open']);
    await first.sweep(chains);
    expect(claims().map(({ session_id }) => session_id)).toEqual(['open']);
    await waitFor('one hand to be started anew', () =>
      containers.some((container) => container.starts() === 2),
    );
    expect(containers.filter((container) => container.starts() === 2)).toHaveLength(1);
  });
});

describe('a call', () => {
  test('runs once though its worker is killed; the next one gets its result', async () => {
    startContainers(1);
    const first = await worker();
    const hand = await provided(first, provisionOf('once'));
    const mark = join(folder, 'ran');
    const input = callOn(hand, `echo ran >> ${mark}; sleep 1; echo done`);
    const killed = workerProcess({ execute: input });
    await waitFor('the command to run', () => existsSync(mark));
    killed.kill('SIGKILL');
    const outcome = await first.execute(input, UNWATCHED);
    expect(outcome).toEqual({ content: [{ type: 'text', text: 'done' }], is_error: false });
    expect(readFileSync(mark, 'utf8')).toBe('ran\n');
  });

  test('whose container ends is told as lost, as soon as that is started anew', async () => {
    const [container] = startContainers(1);
    const first = await worker();
    const hand = await provided(first, provisionOf('lost'));
    const mark = join(folder, 'ran');
    const outcome = first.execute(callOn(hand, `echo ran >> ${mark}; sleep 60`), UNWATCHED);
    await waitFor('the command to run', () => existsSync(mark));
    const startedAt = performance.now();
    container?.kill();
    expect(await outcome).toMatchObject({ is_error: true, lost: true });
    expect(performance.now() - startedAt).toBeLessThan(20_000);
    expect(await run(first, hand, 'echo again')).toMatchObject({ is_error: true, lost: true });
  });
});

test('a hand that is silent is given up, and ends when it comes back', async () => {
  const [container] = startContainers(1);
  const first = await worker({ silenceMs: 1_000 });
  const hand = await provided(first, provisionOf('silent'));
  container?.signal('SIGSTOP');
  expect(await run(first, hand, 'echo never')).toMatchObject({ is_error: true, lost: true });
  expect(claims()).toEqual([]);
  container?.signal('SIGCONT');
  await waitFor('the hand to be started anew', () => container?.starts() === 2);
});

describe('a release', () => {
  test("ends the hand and everything in it; its container comes back, nobody's", async () => {
    const [container] = startContainers(1);
    const first = await worker();
    const hand = await provided(first, provisionOf('first'));
    const mark = `drover-${randomUUID()}`;
    await run(first, hand, `bash -c 'exec -a ${mark} sleep 1000' & echo started`);
    await first.release({ hand, keep_workspace: false });
    expect(claims()).toEqual([]);
    const other = await provided(first, provisionOf('second'));
    expect(container?.starts()).toBe(2);
    expect(await run(first, other, 'ls -A')).toMatchObject({ content: [] });
    await first.release({ hand, keep_workspace: false });
    expect(await run(first, other, 'echo here')).toMatchObject({ is_error: false });
  });

  test('keeps the workspace for the next generation', async () => {
    startContainers(2);
    const first = await worker();
    const hand = await provided(first, provisionOf('kept'));
    await run(first, hand, 'echo kept > file');
    const released = await first.release({ hand, keep_workspace: true });
    expect(released).toMatchObject({ workspace: 'kept' });
    const next = await provided(first, provisionOf('kept', 2));
    const { content } = await run(first, next, 'cat file');
    expect(JSON.stringify(content)).toMatch(/restored from a snapshot.*kept/);
  });
});

describe('a hand', () => {
  test('outlives a socket that a killed worker left', async () => {
    const [container] = startContainers(1);
    const killed = workerProcess({});
    await waitFor('a socket', () => readdirSync(join(folder, 'doors')).length > 0);
    killed.kill('SIGKILL');
    await waitFor('the worker to end', () => killed.signalCode !== null);
    expect(readdirSync(join(folder, 'doors'))).toHaveLength(1);
    // A moment in which it is dialled again and again.
    await waitFor('the hand to be up', () => container?.isUp());
    const first = await worker();
    const hand = await provided(first, provisionOf('after'));
    expect(await run(first, hand, 'echo here')).toMatchObject({ is_error: false });
    expect(container?.starts()).toBe(1);
    expect(readdirSync(join(folder, 'doors'))).toHaveLength(1);
  });
});

interface TestContainer {
  starts(): number;
  isUp(): boolean;
  signal(name: NodeJS.Signals): void;
  kill(): void;
}

function startContainers(count: number): readonly TestContainer[] {
  return Array.from({ length: count }, (_, index) => startContainer(`c${index}`));
}

/** Started anew whenever it ends, as by an engine. */
function startContainer(container: string): TestContainer {
  let child: ChildProcess;
  let starts = 0;
  let isClosed = false;
  const start = (): void => {
    starts += 1;
    const own = join(folder, container, String(starts));
    mkdirSync(own, { recursive: true });
    const order = { container, doors: join(folder, 'doors'), folder: own };
    child = spawnChild('container-child.ts', order);
    child.once('exit', () => {
      if (!isClosed) start();
    });
  };
  start();
  const signal = (name: NodeJS.Signals): void => void child.kill(name);
  const kill = (): void => signal('SIGKILL');
  closing.push(() => {
    isClosed = true;
    kill();
  });
  return {
    starts: () => starts,
    isUp: () => existsSync(join(folder, container, String(starts), 'journal')),
    signal,
    kill,
  };
}

async function worker(options?: Partial<ContainerProviderOptions>): Promise<ContainerProvider> {
  const provider = await openContainerWorker(folder, options);
  closing.push(() => provider.close());
  return provider;
}

function workerProcess(order: object): ChildProcess {
  const child = spawnChild('container-worker-child.ts', { folder, ...order });
  closing.push(() => void child.kill('SIGKILL'));
  return child;
}

function spawnChild(name: string, order: object): ChildProcess {
  const program = fileURLToPath(new URL(`./${name}`, import.meta.url));
  return spawn(process.execPath, [program, JSON.stringify(order)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

function provisionOf(session_id: string, generation = 1): ProvisionInput {
  const hand = { session_id, chain_id: 'chain', name: 'main', generation };
  return { hand, environment, resources: [] };
}

async function provided(provider: ContainerProvider, input: ProvisionInput): Promise<HandInstance> {
  const { instance } = await provider.provision(input);
  return { ...input.hand, provider: 'container', instance };
}

function callOn(hand: HandInstance, command: string): ExecuteInput {
  const call = { id: `call-${randomUUID()}`, name: 'bash', input: { command } };
  return { hand, session_id: hand.session_id, call };
}

function run(provider: ContainerProvider, hand: HandInstance, command: string) {
  return provider.execute(callOn(hand, command), UNWATCHED);
}

function claims(): readonly { readonly instance: string; readonly session_id: string }[] {
  const path = join(folder, 'claims');
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .filter((name) => !name.startsWith('.'))
    .map((name) => JSON.parse(readFileSync(join(path, name), 'utf8')));
}
