import { askAncestors } from './git-ancestors.ts';
import { ancestryOf, type CommitGraph } from './git-commit-graph.ts';
import { PackCommits } from './git-pack-commits.ts';
import { PackUnreadableError } from './git-pack-entry.ts';
import type { Move } from './git-push-rules.ts';
import type { GitServer } from './git-server.ts';
import { Refusal } from './refusal.ts';

/** Why branches may not be moved, by ref. */
export class NotForwardError extends Error {
  override readonly name = 'NotForwardError';
  readonly why: ReadonlyMap<string, string>;

  constructor(why: ReadonlyMap<string, string>) {
    super('a branch would not move forward');
    this.why = why;
  }
}

const NOT_FORWARD =
  'it does not lead on from what the server has (non-fast-forward), and this session may not force';
const UNKNOWN =
  'the server does not show whether it leads on from what it has, and this session may not force';
const MAX_ASKED = 1_000;

/**
 * The pack of a push as it comes, but for its end, which no server does without: that goes when it is
 * proven that each branch moves forward. The proof is the commits themselves, whose ids are the hash
 * of what they say, parents included: those that the pack brings, and what the server tells of those
 * that it has. Once it is there the rest goes unread: nothing in it could take the proof away.
 *
 * @throws {NotForwardError} The end was not given.
 */
export async function* provenPack(
  pack: AsyncIterable<Buffer>,
  moves: readonly Move[],
  server: GitServer,
): AsyncGenerator<Buffer> {
  const commits = new PackCommits(formatOf(moves));
  const reasons = createReasons(moves, commits, server);
  let isTried = false;
  let isProven = false;
  try {
    for await (const chunk of pack) {
      if (isProven) {
        yield chunk;
        continue;
      }
      yield await commits.write(chunk);
      if (isTried || !commits.isPastCommits) continue;
      isTried = true;
      isProven = (await reasons()).size === 0;
      if (isProven) yield commits.unread;
    }
    if (isProven) return;
    const rest = await commits.end();
    const why = await reasons();
    if (why.size > 0) throw new NotForwardError(why);
    yield rest;
  } catch (error) {
    if (!(error instanceof PackUnreadableError)) throw error;
    const why = `it cannot be seen whether it moves forward: of its pack, ${error.message}`;
    throw new NotForwardError(new Map(moves.map(({ ref }) => [ref, why])));
  }
}

/** Tells, by what the pack has brought until then, why branches may not be moved. */
function createReasons(
  moves: readonly Move[],
  commits: CommitGraph,
  server: GitServer,
): () => Promise<ReadonlyMap<string, string>> {
  const histories = new Map<string, Promise<CommitGraph | undefined>>();
  /** The same is asked once. */
  const ask = (asked: Asked): Promise<CommitGraph | undefined> => {
    const key = [asked.since, ...asked.of].join();
    const history = histories.get(key) ?? historyFrom(server, asked);
    histories.set(key, history);
    return history;
  };
  return async () => {
    const why = new Map<string, string>();
    for (const move of moves) {
      const reason = await whyNotForward(move, commits, ask);
      if (reason !== undefined) why.set(move.ref, reason);
    }
    return why;
  };
}

type Asked = Parameters<typeof askAncestors>[1];

async function whyNotForward(
  move: Move,
  commits: CommitGraph,
  ask: (asked: Asked) => Promise<CommitGraph | undefined>,
): Promise<string | undefined> {
  const known = ancestryOf(move, [commits]);
  if (known.type === 'proven') return undefined;
  if (known.type === 'disproven') return NOT_FORWARD;
  if (known.missing.length > MAX_ASKED) return UNKNOWN;
  const asked = { of: known.missing, since: move.from, format: formatOf([move]) };
  const history = await ask(asked);
  if (history === undefined) return UNKNOWN;
  // What is still missing leads to the earlier commit's own past: the server has told all else.
  return ancestryOf(move, [commits, history]).type === 'proven' ? undefined : NOT_FORWARD;
}

async function historyFrom(server: GitServer, asked: Asked): Promise<CommitGraph | undefined> {
  try {
    return await askAncestors(server, asked);
  } catch (error) {
    if (error instanceof Refusal || error instanceof PackUnreadableError) return undefined;
    throw error;
  }
}

function formatOf(moves: readonly Move[]): 'sha1' | 'sha256' {
  return moves[0]?.to.length === 64 ? 'sha256' : 'sha1';
}
