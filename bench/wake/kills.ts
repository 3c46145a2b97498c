import { setTimeout as delay } from 'node:timers/promises';
import type { SessionEventType } from '../../protocol/session-event.ts';
import { withDeadline } from '../deadline.ts';
import { timed } from '../measure.ts';
import { progress } from '../report.ts';
import { type DroverWorkerOptions, startDroverWorker } from '../world/drover-worker.ts';
import type { World } from '../world/world.ts';

/** A worker that is killed takes a moment to be gone; what it had sent before may still arrive. */
const IN_FLIGHT_MS = 100;
const TIMEOUT_MS = 60_000;

export type Phase = 'model' | 'tool';

const PHASES: readonly Phase[] = ['model', 'tool', 'tool', 'model'];
const BEGINNING = { model: 'span.model_request_start', tool: 'agent.tool_use' } as const;

export interface Kill {
  readonly phase: Phase;
  /** From the kill to the next event of the log. */
  readonly progressMs: number;
  /** From the kill to the next worker process that polls; it is started at once. */
  readonly bootMs: number;
}

export interface KillOptions {
  readonly sessionId: string;
  readonly worker: DroverWorkerOptions;
  readonly kills: number;
  /** How long after the beginning of a phase, one after the other, so that kills fall anywhere. */
  readonly delaysMs: readonly number[];
}

/** Kills the one worker process again and again while a session works. */
export async function measureKills(world: World, options: KillOptions): Promise<Kill[]> {
  const { sessionId } = options;
  let worker = await startDroverWorker(options.worker);
  world.defer(() => worker.stop());
  const tail = watch(world, sessionId);
  await world.drover.sessions.send(sessionId, 'go');
  const kills: Kill[] = [];
  for (let index = 0; index < options.kills; index += 1) {
    const phase = PHASES[index % PHASES.length] ?? 'model';
    await tail.nextAfter(performance.now(), BEGINNING[phase]);
    await delay(options.delaysMs[index % options.delaysMs.length] ?? 0);
    const killedAt = performance.now();
    await worker.kill();
    const goneAt = performance.now() + IN_FLIGHT_MS;
    const progressed = tail.nextAfter(goneAt);
    const boot = await timed(() => startDroverWorker(options.worker));
    worker = boot.result;
    const bootMs = performance.now() - killedAt;
    const progressMs = (await progressed) - killedAt;
    kills.push({ phase, progressMs, bootMs });
    progress(`kill ${index + 1} in ${phase}: next event after ${Math.round(progressMs)} ms`);
  }
  await tail.close();
  return kills;
}

function watch(world: World, id: string) {
  const stop = new AbortController();
  const seen: { readonly type: SessionEventType; readonly atMs: number }[] = [];
  let wake = Promise.withResolvers<void>();
  const ended = (async () => {
    for await (const { type } of world.drover.sessions.tail(id, { signal: stop.signal })) {
      seen.push({ type, atMs: performance.now() });
      wake.resolve();
      wake = Promise.withResolvers();
    }
  })();
  return {
    /** When the first event came, of any type or of this one, that came after a point in time. */
    async nextAfter(atMs: number, type?: SessionEventType): Promise<number> {
      for (;;) {
        const event = seen.find(
          (candidate) => candidate.atMs > atMs && (type ?? candidate.type) === candidate.type,
        );
        if (event !== undefined) return event.atMs;
        await withDeadline(wake.promise, TIMEOUT_MS, `progress of session ${id}`);
      }
    },
    async close() {
      stop.abort();
      await ended;
    },
  };
}
