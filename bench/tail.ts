import type { EventOfType } from '../protocol/session-event.ts';
import { fromConversation, says } from '../rehearsal/script.ts';
import { withDeadline } from './deadline.ts';
import { distributionOf } from './measure.ts';
import { progress, type Report } from './report.ts';
import { startDroverWorker } from './world/drover-worker.ts';
import { startWorld, type World } from './world/world.ts';

const READERS = 100;
const WRITES = 60;
const WARM_UP_WRITES = 5;
const TIMEOUT_MS = 30_000;

/** How long after the model's last word each of many readers of one session has the message. */
export async function run(): Promise<Report> {
  /** By the text of the answer: when the model server wrote its last event. */
  const written = new Map<string, number>();
  await using world = await startWorld({
    player: fromConversation((request) => {
      const answer = `answer ${request.messages.length}`;
      return says(answer, {
        pace: async ({ type }) => {
          if (type === 'message_stop') written.set(answer, performance.now());
        },
      });
    }),
  });
  const worker = await startDroverWorker({
    address: world.address,
    folder: world.folder,
    modelUrl: world.model.url,
    roles: 'brain',
  });
  world.defer(() => worker.stop());

  const alone = await measure(world, { sessionId: 'tail-1', readers: 1, written });
  progress(`1 reader: ${JSON.stringify(distributionOf(alone))}`);
  const many = await measure(world, { sessionId: 'tail-100', readers: READERS, written });
  const figures = distributionOf(many);
  return {
    bench: 'tail',
    figures: { readers: READERS, writes: WRITES, write_to_reader_ms: figures },
    targets: [
      { name: 'write to reader, p99 of 100 readers, ms', value: figures.p99, limit: 50 },
      {
        name: 'events received',
        value: many.length,
        limit: READERS * WRITES,
        is: 'equal',
      },
    ],
    baseline: { write_to_one_reader_ms: distributionOf(alone) },
  };
}

interface Setting {
  readonly sessionId: string;
  readonly readers: number;
  readonly written: Map<string, number>;
}

/** Milliseconds from write to reader, one for each write and reader. */
async function measure(world: World, setting: Setting): Promise<number[]> {
  const { sessionId, readers, written } = setting;
  const { sessions } = world.drover;
  written.clear();
  await sessions.create({ agent: { name: 'tail' } }, { id: sessionId });
  const stop = new AbortController();
  const tails = Array.from({ length: readers }, () => createTail(world, sessionId, stop.signal));
  const lags: number[] = [];
  for (let write = 0; write < WARM_UP_WRITES + WRITES; write += 1) {
    await sessions.send(sessionId, `message ${write}`);
    const seen = await withDeadline(
      Promise.all(tails.map((tail) => tail.next())),
      TIMEOUT_MS,
      `message ${write} at every reader`,
    );
    if (write < WARM_UP_WRITES) continue;
    for (const { text, atMs } of seen) lags.push(atMs - (written.get(text) ?? Number.NaN));
  }
  stop.abort();
  await Promise.all(tails.map((tail) => tail.ended));
  return lags;
}

interface Seen {
  readonly text: string;
  readonly atMs: number;
}

/** A reader that stamps each message the moment it has it. */
function createTail(world: World, sessionId: string, signal: AbortSignal) {
  const seen: Seen[] = [];
  let wake = () => {};
  const ended = (async () => {
    const options = { signal, types: ['agent.message'] as const };
    for await (const event of world.drover.sessions.tail(sessionId, options)) {
      const atMs = performance.now();
      seen.push({ text: textOf(event as EventOfType<'agent.message'>), atMs });
      wake();
    }
  })();
  return {
    ended,
    async next(): Promise<Seen> {
      for (;;) {
        const first = seen.shift();
        if (first !== undefined) return first;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

function textOf({ content }: EventOfType<'agent.message'>): string {
  return content.map(({ text }) => text).join('');
}
