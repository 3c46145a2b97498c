import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { NEW_CALCULATOR, press } from '../../examples/pocket-calculator/calculator.ts';
import { createCalculatorHand } from '../../examples/pocket-calculator/calculator-hand.ts';
import { FAILURE } from '../../protocol/failure.ts';
import { send } from '../../protocol/messages.ts';
import { calls, says, scripted } from '../../rehearsal/script.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/pocket-calculator');

let folder: string;
let harness: Harness | undefined;
let worker: ChildProcess | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'drover-calculator-'));
});
afterEach(async () => {
  await end(worker);
  await harness?.stop();
  [worker, harness] = [undefined, undefined];
  rmSync(folder, { recursive: true, force: true });
});

/** The example's own worker, as a person starts it. */
async function startWorker(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(EXAMPLE, 'worker.ts'), folder], {
    env: { PATH: process.env['PATH'], TEMPORAL_ADDRESS: inject('temporalAddress') },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  for await (const chunk of child.stdout ?? []) if (String(chunk).includes('serving')) break;
  return child;
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

const pressing = (keys: string) => says([calls('press', { keys })]);

test('a session computes with it, over a kill of its worker', async () => {
  harness = await startHarness({
    player: scripted([
      pressing('3 * 12 ='),
      pressing('+ 30 = M+'),
      says('66 bottles.'),
      pressing('C MR / 2 ='),
      says([calls('look', {})]),
      says('Half of it is 33.'),
    ]),
  });
  worker = await startWorker();
  const input = JSON.parse(await readFile(join(EXAMPLE, 'session.json'), 'utf8'));
  const handle = await harness.start({ environment: undefined, ...input });
  const session = await harness.untilIdle(handle);
  expect(session.stop_reason).toEqual({ type: 'end_turn' });
  expect(Object.keys(session.hands)).toEqual(['calculator']);
  const { instance } = session.hands['calculator'] ?? {};
  await end(worker);
  await handle.executeUpdate(send, { args: ['And half of that?'] });
  worker = await startWorker();
  const results = await waitFor('the results', async () => {
    const found = await harness?.log.read(handle.workflowId, { types: ['agent.tool_result'] });
    return found?.length === 4 && found;
  });
  const texts = results.map((event) => JSON.stringify(event));
  expect(texts.map((said) => /"text":"([^"]*)"/.exec(said)?.[1])).toEqual([
    '36',
    '66 (M)',
    '33 (M)',
    '33 (M)',
  ]);
  expect((await harness.log.session(handle.workflowId)).hands['calculator']?.instance).toBe(
    instance,
  );
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow();
  expect(readdirSync(folder)).toEqual([]);
});

const NAME = { session_id: 's', chain_id: 'c', name: 'calculator', generation: 1 };
const ENVIRONMENT = { definition: { provider: 'calculator' } } as never;

test('a call tried again → its first answer, and no key pressed twice', async () => {
  const { provision, execute } = createCalculatorHand(folder);
  const { hand } = await provision({ hand: NAME, environment: ENVIRONMENT, resources: [] });
  const input = { hand, session_id: 's', call: { id: 't1', name: 'press', input: { keys: '1+' } } };
  await execute(input);
  const add = { ...input, call: { id: 't2', name: 'press', input: { keys: '5=' } } };
  const first = await execute(add);
  expect(JSON.stringify(first)).toContain('"6"');
  const another = createCalculatorHand(folder);
  expect(await another.execute(add)).toEqual(first);
  const other = { ...add, call: { ...add.call, input: { keys: '6=' } } };
  await expect(another.execute(other)).rejects.toMatchObject({
    type: FAILURE.sandboxJournalConflict,
  });
});

test('put away → lost for who holds it, and taken out again as it was', async () => {
  const { provision, execute, release } = createCalculatorHand(folder);
  const resources: [] = [];
  const { hand } = await provision({ hand: NAME, environment: ENVIRONMENT, resources });
  expect(await provision({ hand: NAME, environment: ENVIRONMENT, resources })).toEqual({ hand });
  const call = { id: 't1', name: 'press', input: { keys: '7 M+' } };
  await execute({ hand, session_id: 's', call });
  await release({ hand, keep_workspace: true });
  const late = { hand, session_id: 's', call: { ...call, id: 't2' } };
  expect(await execute(late)).toMatchObject({ lost: true, events: [{ is_error: true }] });
  const name = { ...NAME, generation: 2 };
  const next = await provision({ hand: name, environment: ENVIRONMENT, resources });
  const looked = await execute({
    ...late,
    hand: next.hand,
    call: { id: 't3', name: 'look', input: {} },
  });
  expect(JSON.stringify(looked)).toContain('7 (M)');
  await expect(
    provision({ hand: NAME, environment: ENVIRONMENT, resources }),
  ).rejects.toMatchObject({ type: FAILURE.sandboxSuperseded, details: [2] });
  await release({
    hand: { ...name, generation: 3, provider: 'x', instance: null },
    keep_workspace: false,
  });
  expect(readdirSync(folder)).toEqual([]);
});

test.each([
  ['1 + 2 * 3 =', '9'],
  ['0.1 + 0.2 =', '0.3'],
  ['5 / 0 =', 'Error'],
  ['12 - 15 =', '-3'],
  ['9 M+ C 1 + MR =', '10'],
  ['1..5 + 0 =', '1.5'],
  ['1234567890123 =', '123456789012'],
])('%s → %s', (keys, display) => {
  expect(press(NEW_CALCULATOR, keys).display).toBe(display);
});

test('a key that there is not → refused, and nothing pressed', async () => {
  expect(() => press(NEW_CALCULATOR, '1 + sin')).toThrow(/no key "sin"/);
});
