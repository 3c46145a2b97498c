import type { SessionEvent } from '../../protocol/session-event.ts';
import type { HandUse } from './hand-uses.ts';
import type { LedgerLine } from './ledger.ts';

/** What a session left behind. */
export interface SessionRecord {
  readonly id: string;
  readonly events: readonly SessionEvent[];
  readonly hands: readonly HandUse[];
  /** Why it did not come to its end, if it did not. */
  readonly stuck: string | null;
}

export interface DeletedPod {
  readonly uid: string;
  readonly atMs: number;
}

/** Each a list of what is wrong, in words; a number of things that are right beside it. */
export interface Audit {
  readonly commands: number;
  readonly answered: number;
  readonly unknown: number;
  /** Sandboxes that the log reports as lost. */
  readonly lostSandboxes: number;
  readonly ranTwice: readonly string[];
  readonly resultsLost: readonly string[];
  readonly stuck: readonly string[];
  /** Lost, and the log does not say so. */
  readonly unreported: readonly string[];
  /** Reported as lost, and nobody had taken them. */
  readonly needless: readonly string[];
}

/** A call that was queued for a pod that went away may answer until its stream is gone. */
const SERVED_AFTER_MS = 60_000;
const LOST = /^Outcome unknown: the sandbox was lost \(.+\)/;
const NEW_SANDBOX = /\[this is a new,/;

export function audit(
  sessions: readonly SessionRecord[],
  ledger: readonly LedgerLine[],
  deleted: readonly DeletedPod[],
): Audit {
  const runs = runsByKey(ledger);
  const calls = sessions.flatMap(callsOf);
  const known = new Set(calls.map(({ key }) => key));
  const lost = sessions.flatMap(({ hands }) => hands.filter((hand) => hand.lostCall !== null));
  return {
    commands: calls.length,
    answered: calls.filter(({ results }) => results.some((text) => DONE.test(text))).length,
    unknown: calls.filter(({ results }) => results.some((text) => LOST.test(text))).length,
    lostSandboxes: lost.length,
    ranTwice: [...runs]
      .filter(([, ids]) => ids.size > 1)
      .map(([key, ids]) => `${key}: ${ids.size} runs`),
    resultsLost: [
      ...calls.flatMap((call) => problemOf(call, runs.get(call.key) ?? new Set())),
      ...[...runs.keys()].filter((key) => !known.has(key)).map((key) => `${key}: ran unasked`),
    ],
    stuck: sessions.flatMap(({ id, stuck }) => (stuck === null ? [] : [`${id}: ${stuck}`])),
    unreported: [
      ...sessions.flatMap(unreportedChanges),
      ...sessions.flatMap((session) => servedByTheDead(session, deleted)),
    ],
    needless: lost
      .filter(({ instance }) => !deleted.some(({ uid }) => uid === instance))
      .map(({ instance }) => instance),
  };
}

interface Call {
  readonly key: string;
  /** Text of each result that the log has for it. */
  readonly results: readonly string[];
}

const KEY = /-d "(\S+) \$run"/;
const DONE = /^line (\S+) run (\S+)$/m;

function callsOf({ events }: SessionRecord): Call[] {
  return events.flatMap((event) => {
    if (event.type !== 'agent.tool_use') return [];
    const key = KEY.exec(String(event.input['command']))?.[1] ?? event.id;
    const results = events.flatMap((other) =>
      other.type === 'agent.tool_result' && other.tool_use_id === event.id
        ? [(other.content ?? []).map((block) => (block.type === 'text' ? block.text : '')).join('')]
        : [],
    );
    return [{ key, results }];
  });
}

function runsByKey(ledger: readonly LedgerLine[]): Map<string, Set<string>> {
  const runs = new Map<string, Set<string>>();
  for (const { key, run } of ledger) runs.set(key, (runs.get(key) ?? new Set()).add(run));
  return runs;
}

function problemOf({ key, results }: Call, runs: ReadonlySet<string>): string[] {
  const [text, ...more] = results;
  if (text === undefined) return [`${key}: no result`];
  if (more.length > 0) return [`${key}: ${results.length} results`];
  const done = DONE.exec(text);
  if (done === null) return LOST.test(text) ? [] : [`${key}: ${text}`];
  const isOfThisRun = done[1] === key && runs.has(done[2] ?? '');
  return isOfThisRun ? [] : [`${key}: its result is of no run that was seen: ${text}`];
}

/** A session that went on with another sandbox must have been told that the one before is lost. */
function unreportedChanges({ id, hands, events }: SessionRecord): string[] {
  const notices = events.filter(
    (event) =>
      event.type === 'agent.tool_result' && NEW_SANDBOX.test(JSON.stringify(event.content)),
  ).length;
  const untold = hands.slice(0, -1).filter(({ lostCall }) => lostCall === null);
  /** Later sandboxes that gave any result: each began with a notice. */
  const successors = hands.slice(1).filter(({ lastServedMs }) => lastServedMs > 0).length;
  const misworded = hands.filter(({ lostCall }) => lostCall !== null && !LOST.test(lostCall));
  return [
    ...untold.map(({ instance }) => `${id}: ${instance} was replaced without a word`),
    ...misworded.map(({ instance, lostCall }) => `${id}: ${instance} is lost, said: ${lostCall}`),
    ...(notices >= successors ? [] : [`${id}: ${notices} notices of ${successors}`]),
  ];
}

function servedByTheDead({ id, hands }: SessionRecord, deleted: readonly DeletedPod[]): string[] {
  return hands.flatMap(({ instance, lastServedMs }) => {
    const deletedMs = deleted.find(({ uid }) => uid === instance)?.atMs;
    if (deletedMs === undefined || lastServedMs < deletedMs + SERVED_AFTER_MS) return [];
    return [`${id}: ${instance} serves though its pod was deleted`];
  });
}
