import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigurationConflictError, type HandConfiguration } from '../../hand/configuration.ts';
import { type Journal, openJournal } from '../../hand/journal.ts';
import type { ServedHand } from '../../hand/serve.ts';
import type { HandTool } from '../../hand/tool.ts';
import { createPodHand } from '../../k8s/sandbox/pod-hand.ts';

const CONFIGURATION: HandConfiguration = { owner: 'one', notice: null, variables: { A: 'a' } };
const CALL = { id: 'toolu_1', name: 'count', input: {} };

let folder: string;
let journal: Journal;
let runs: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pod-hand-'));
  journal = openJournal(folder);
  runs = [];
});
afterEach(() => {
  journal.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A daemon on the same disk as those before it. */
function daemon(): Required<ServedHand> {
  const counter = (what: string, gate = Promise.resolve()): HandTool => ({
    hasEffects: true,
    async run(_input, call) {
      call.onStart();
      await gate;
      runs.push(what);
      return { text: `${what} ${runs.length}`, is_error: false };
    },
  });
  return createPodHand({
    journal,
    memory: join(folder, 'configuration.json'),
    createTools: ({ variables }) => ({ count: counter(`session ${variables['A']}`) }),
    createSetupTools: () => ({ install: counter('setup') }),
  }) as Required<ServedHand>;
}

const ignore = (): void => {};

describe('configuration', () => {
  test('the same again changes nothing; another is refused, saying whose the sandbox is', () => {
    const hand = daemon();
    hand.configure(CONFIGURATION);
    hand.configure({ variables: { A: 'a' }, notice: null, owner: 'one' });
    const other = { ...CONFIGURATION, owner: 'two' };
    expect(() => hand.configure(other)).toThrow(ConfigurationConflictError);
    expect(() => hand.configure(other)).toThrow('is configured as one and cannot be two too');
    const changed = { ...CONFIGURATION, variables: { A: 'b' } };
    expect(() => hand.configure(changed)).toThrow('Sandbox one is configured otherwise');
  });

  test('holds for a daemon that starts again', async () => {
    daemon().configure(CONFIGURATION);
    const again = daemon();
    expect((await again.run('s', CALL, ignore)).text).toBe('session a 1');
    expect(() => again.configure({ ...CONFIGURATION, owner: 'two' })).toThrow('cannot be two');
  });

  test('is on disk before it is acknowledged', () => {
    daemon().configure(CONFIGURATION);
    const text = readFileSync(join(folder, 'configuration.json'), 'utf8');
    expect(JSON.parse(text)).toEqual(CONFIGURATION);
  });

  test('that a command has broken on disk is none', async () => {
    writeFileSync(join(folder, 'configuration.json'), '{"owner": 5');
    await expect(daemon().run('s', CALL, ignore)).rejects.toThrow('not configured: nothing ran');
  });

  test.each([
    [{}],
    [null],
    [{ ...CONFIGURATION, variables: { A: 1 } }],
    [{ ...CONFIGURATION, notice: 1 }],
  ])('that is none (%j) → refused, and the hand stays free', (value) => {
    const hand = daemon();
    expect(() => hand.configure(value as HandConfiguration)).toThrow('no configuration');
    hand.configure(CONFIGURATION);
  });
});

describe('calls', () => {
  test('before the configuration → nothing runs, and the daemon lives', async () => {
    const hand = daemon();
    const words = 'not configured: nothing ran';
    await expect(hand.run('s', CALL, ignore)).rejects.toThrow(words);
    await expect(hand.setUp({ ...CALL, name: 'install' }, ignore)).rejects.toThrow(words);
    hand.cancel({ session_id: 's', call_id: 'toolu_1' });
    hand.configure(CONFIGURATION);
    expect((await hand.run('s', CALL, ignore)).text).toBe('session a 1');
  });

  test('of provisioning run once, also when asked twice at once or by the next daemon', async () => {
    const hand = daemon();
    hand.configure(CONFIGURATION);
    const call = { ...CALL, name: 'install' };
    const both = await Promise.all([hand.setUp(call, ignore), hand.setUp(call, ignore)]);
    expect(both.map(({ text }) => text)).toEqual(['setup 1', 'setup 1']);
    expect((await daemon().setUp(call, ignore)).text).toBe('setup 1');
    expect(runs).toEqual(['setup']);
  });

  test('of provisioning and of sessions have scopes and tools of their own', async () => {
    const hand = daemon();
    hand.configure(CONFIGURATION);
    await hand.setUp({ ...CALL, name: 'install' }, ignore);
    expect((await hand.run('provision', CALL, ignore)).text).toBe('session a 2');
    const install = { ...CALL, id: 'toolu_2', name: 'install' };
    expect((await hand.run('s', install, ignore)).text).toContain('no tool "install"');
    const count = { ...CALL, id: 'toolu_3' };
    expect((await hand.setUp(count, ignore)).text).toContain('no tool "count"');
  });
});
