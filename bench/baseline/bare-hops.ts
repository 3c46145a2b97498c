import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startTied } from '../world/tied-process.ts';
import type { World } from '../world/world.ts';
import { clockMs } from './bare-activities.ts';
import { bareLoop, getStarts, hop } from './workflows.ts';

const WORKER = fileURLToPath(new URL('./bare-worker.ts', import.meta.url));
const TASK_QUEUE = 'bare';
export const OTHER_QUEUE = 'bare-elsewhere';
export const BARE_LOOP_ID = 'bare-loop';
const POLL_MS = 2;
const TIMEOUT_MS = 30_000;
/** Activities in a row: one hop fewer. */
const HOPS = 4;

/** What a durable hop costs on this server when there is nothing in it. */
export interface BareHops {
  /** From asking for an update to the start of the activity that it causes. */
  readonly updateToStartMs: number[];
  /** From the start of an empty activity to the start of the next, on the workflow's queue. */
  readonly hopMs: number[];
  /** The same on another queue, as hands have one. */
  readonly hopElsewhereMs: number[];
}

export interface BareLoop {
  readonly hops: BareHops;
  /** Adds samples: so many updates, and for each third of them a row of hops on either queue. */
  measure(updates: number): Promise<void>;
}

export async function startBareLoop(world: World): Promise<BareLoop> {
  const worker = startTied({
    name: 'the bare worker',
    command: process.execPath,
    arguments: [WORKER, world.address, TASK_QUEUE, OTHER_QUEUE],
    environment: process.env,
    logPath: join(world.folder, 'bare-worker.log'),
  });
  world.defer(() => worker.stop());
  await worker.said('bare worker: polling');
  const handle = await world.client.workflow.start(bareLoop, {
    taskQueue: TASK_QUEUE,
    workflowId: BARE_LOOP_ID,
  });
  let known = 0;

  /** Times of the starts that an order of so many activities causes. */
  async function starts(count: number, taskQueue: string | null): Promise<readonly number[]> {
    await handle.executeUpdate(hop, { args: [{ count, taskQueue }] });
    const deadline = Date.now() + TIMEOUT_MS;
    for (;;) {
      const all = await handle.query(getStarts);
      if (all.length >= known + count) {
        const fresh = all.slice(known);
        known = all.length;
        return fresh;
      }
      if (Date.now() > deadline) throw new Error('the bare loop stands still');
      await delay(POLL_MS);
    }
  }

  await starts(1, null);
  await starts(1, OTHER_QUEUE);
  const hops: BareHops = { updateToStartMs: [], hopMs: [], hopElsewhereMs: [] };
  return {
    hops,
    async measure(updates) {
      for (let index = 0; index < updates; index += 1) {
        const askedMs = clockMs();
        const [startedMs = Number.NaN] = await starts(1, null);
        hops.updateToStartMs.push(startedMs - askedMs);
        if (index % 3 !== 0) continue;
        hops.hopMs.push(...gaps(await starts(HOPS, null)));
        hops.hopElsewhereMs.push(...gaps(await starts(HOPS, OTHER_QUEUE)));
      }
    },
  };
}

function gaps(times: readonly number[]): number[] {
  return times.slice(1).map((time, index) => time - (times[index] ?? Number.NaN));
}
