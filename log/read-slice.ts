import type { SessionEvent, SessionEventType } from '../protocol/session-event.ts';
import type { Chain } from './chain.ts';
import { checkCursor } from './cursor.ts';
import type { HistorySource } from './history-source.ts';
import { inOrder } from './in-order.ts';
import { comparePositions, parsePosition } from './position.ts';
import { projectRun, type RunLog } from './run-log.ts';

export interface SliceOptions {
  /** Only events after this position. */
  readonly after?: string | undefined;
  /** Only events before this position. */
  readonly before?: string | undefined;
  /** Default: `asc`, oldest first. */
  readonly order?: 'asc' | 'desc' | undefined;
  /** At most so many events, counted from the end that `order` begins with. Default: all. */
  readonly limit?: number | undefined;
  /** Only events of these types. Default: all. */
  readonly types?: readonly SessionEventType[] | undefined;
}

/** Runs that are read at the same time when all of them are wanted. */
const READ_CONCURRENCY = 4;

/** Cuts a slice out of the log. Runs outside it are not read; with a limit, none that are not needed. */
export async function readSlice(
  source: HistorySource,
  chain: Chain,
  options: SliceOptions,
): Promise<SessionEvent[]> {
  const { after, before, limit = Number.POSITIVE_INFINITY, order = 'asc' } = options;
  const loadRun = createRunLoader(source, chain);
  const first = after === undefined ? 0 : await runOfCursor(after, chain, loadRun);
  const last =
    before === undefined ? chain.runIds.length - 1 : await runOfCursor(before, chain, loadRun);
  const indexes = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
  if (order === 'desc') indexes.reverse();

  const isWanted = filterOf(options);
  const slice: SessionEvent[] = [];
  const concurrency = limit === Number.POSITIVE_INFINITY ? READ_CONCURRENCY : 1;
  for await (const run of inOrder(indexes, concurrency, loadRun)) {
    const wanted = run.events.filter(isWanted);
    if (order === 'desc') wanted.reverse();
    slice.push(...wanted.slice(0, limit - slice.length));
    if (slice.length >= limit) break;
  }
  return Promise.all(slice.map((event) => settle(event, chain, loadRun)));
}

type LoadRun = (index: number) => Promise<RunLog>;

/** Reads each run at most once. */
function createRunLoader(source: HistorySource, chain: Chain): LoadRun {
  const runs = new Map<number, Promise<RunLog>>();
  return (index) => {
    const known = runs.get(index);
    if (known !== undefined) return known;
    const runId = chain.runIds[index] ?? '';
    const run = projectRun(index, source.pages({ sessionId: chain.sessionId, runId }));
    runs.set(index, run);
    return run;
  };
}

async function runOfCursor(cursor: string, chain: Chain, loadRun: LoadRun): Promise<number> {
  const position = parsePosition(cursor);
  const isOnChain = position.run < chain.runIds.length;
  const state = isOnChain ? (await loadRun(position.run)).state : undefined;
  checkCursor(cursor, position, { sessionId: chain.sessionId, state });
  return position.run;
}

function filterOf({ after, before, types }: SliceOptions): (event: SessionEvent) => boolean {
  const wanted = types === undefined ? undefined : new Set(types);
  return (event) =>
    (wanted === undefined || wanted.has(event.type)) &&
    (after === undefined || comparePositions(event.position, after) > 0) &&
    (before === undefined || comparePositions(event.position, before) < 0);
}

/** A user event that its own run left queued is seen by the first model step of a later one. */
async function settle(event: SessionEvent, chain: Chain, loadRun: LoadRun): Promise<SessionEvent> {
  if (event.processed_at !== null) return event;
  const run = parsePosition(event.position).run;
  for (let later = run + 1; later < chain.runIds.length; later += 1) {
    const time = (await loadRun(later)).state.first_step_at;
    if (time !== null) return { ...event, processed_at: time };
  }
  return event;
}
