import { expect, test } from 'vitest';
import { type Audit, audit, type SessionRecord } from '../../bench/chaos/audit.ts';
import type { HandUse } from '../../bench/chaos/hand-uses.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';

const LOST = 'Outcome unknown: the sandbox was lost (its pod is gone). It was not run again.';
const NOTICE = '[this is a new, empty sandbox: the one before was lost]';

const use = (key: string): SessionEvent =>
  ({
    type: 'agent.tool_use',
    id: `toolu_${key}`,
    input: { command: `curl -d "${key} $run" http://ledger` },
  }) as unknown as SessionEvent;

const result = (key: string, text: string): SessionEvent =>
  ({
    type: 'agent.tool_result',
    tool_use_id: `toolu_${key}`,
    content: [{ type: 'text', text }],
  }) as unknown as SessionEvent;

const hand = (instance: string, more: Partial<HandUse> = {}): HandUse => ({
  instance,
  lastServedMs: 1_000,
  lostCall: null,
  ...more,
});

const session = (events: SessionEvent[], more: Partial<SessionRecord> = {}): SessionRecord => ({
  id: 's',
  events,
  hands: [hand('pod-1')],
  stuck: null,
  ...more,
});

const ran = (key: string, run: string) => ({ key, run });
const answered = (key: string, run: string) => [use(key), result(key, `line ${key} run ${run}`)];

/** What a run is, with the lists of what is wrong in it. */
function wrong({ ranTwice, resultsLost, stuck, unreported, needless }: Audit) {
  return { ranTwice, resultsLost, stuck, unreported, needless };
}

const NOTHING = { ranTwice: [], resultsLost: [], stuck: [], unreported: [], needless: [] };

test('each command ran once and said so → nothing is wrong', () => {
  const found = audit([session(answered('a', 'x'))], [ran('a', 'x'), ran('a', 'x')], []);
  expect(wrong(found)).toEqual(NOTHING);
  expect(found).toMatchObject({ commands: 1, answered: 1, unknown: 0, lostSandboxes: 0 });
});

test('a pod deleted in mid-call, and reported → nothing is wrong', () => {
  const events = [use('a'), result('a', LOST), use('b'), result('b', `${NOTICE}\nline b run y`)];
  const hands = [hand('pod-1', { lostCall: LOST }), hand('pod-2')];
  const lines = [ran('a', 'x'), ran('b', 'y')];
  const found = audit([session(events, { hands })], lines, [{ uid: 'pod-1', atMs: 500 }]);
  expect(wrong(found)).toEqual(NOTHING);
  expect(found).toMatchObject({ answered: 1, unknown: 1, lostSandboxes: 1 });
});

test.each<[string, SessionRecord, { key: string; run: string }[], object]>([
  [
    'two runs of one command',
    session(answered('a', 'x')),
    [ran('a', 'x'), ran('a', 'y')],
    { ranTwice: ['a: 2 runs'] },
  ],
  ['a call without a result', session([use('a')]), [], { resultsLost: ['a: no result'] }],
  [
    'a call with two results',
    session([...answered('a', 'x'), result('a', LOST)]),
    [ran('a', 'x')],
    { resultsLost: ['a: 2 results'] },
  ],
  [
    'the result of a run that nobody saw',
    session(answered('a', 'x')),
    [],
    { resultsLost: [expect.stringMatching('^a: its result is of no run')] },
  ],
  [
    'the result of another command',
    session([use('a'), result('a', 'line b run x')]),
    [ran('a', 'x')],
    { resultsLost: [expect.stringMatching('^a: its result is of no run')] },
  ],
  [
    'an error that is no lost sandbox',
    session([use('a'), result('a', 'it did not work')]),
    [],
    { resultsLost: ['a: it did not work'] },
  ],
  [
    'a run that no call asked for',
    session([]),
    [ran('a', 'x')],
    { resultsLost: ['a: ran unasked'] },
  ],
  [
    'a session that stands still',
    session(answered('a', 'x'), { stuck: 'no event' }),
    [ran('a', 'x')],
    { stuck: ['s: no event'] },
  ],
  [
    'another sandbox without a word',
    session([...answered('a', 'x'), use('b'), result('b', `${NOTICE}\nline b run y`)], {
      hands: [hand('pod-1'), hand('pod-2')],
    }),
    [ran('a', 'x'), ran('b', 'y')],
    { unreported: ['s: pod-1 was replaced without a word'] },
  ],
  [
    'a pod that answers long after it was deleted',
    session(answered('a', 'x'), { hands: [hand('deleted', { lastServedMs: 100_000 })] }),
    [ran('a', 'x')],
    { unreported: ['s: deleted serves though its pod was deleted'] },
  ],
  [
    'a sandbox given up that nobody had taken',
    session([use('a'), result('a', LOST)], { hands: [hand('pod-1', { lostCall: LOST })] }),
    [],
    { needless: ['pod-1'] },
  ],
])('%s → found', (_what, record, ledger, found) => {
  const deleted = [{ uid: 'deleted', atMs: 1_000 }];
  expect(wrong(audit([record], ledger, deleted))).toEqual({ ...NOTHING, ...found });
});
