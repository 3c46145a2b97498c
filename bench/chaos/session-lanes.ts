import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { EnvironmentInput } from '../../protocol/environment.ts';
import { progress } from '../report.ts';
import type { World } from '../world/world.ts';
import type { SessionRecord } from './audit.ts';
import { readHandUses } from './hand-uses.ts';
import { firstMessage } from './ledger-player.ts';

/** Sessions that work side by side, a new one after each that ended, until all is over. */
export interface SessionLanes {
  /** All sessions, once each lane's last one has ended. */
  readonly records: Promise<readonly SessionRecord[]>;
  /** From a moment to the next event of the session that waited longest for it, of those at work. */
  recoveryAfter(atMs: number): number | null;
}

export interface SessionLanesOptions {
  readonly lanes: number;
  readonly environment: EnvironmentInput;
  /** Time without an event, once nothing breaks any more, after which a session is stuck. */
  readonly stuckMs: number;
  isOver(): boolean;
}

const POLL_MS = 200;

export function startSessionLanes(world: World, options: SessionLanesOptions): SessionLanes {
  const stamps = new Map<string, number[]>();
  const runLane = async (lane: number): Promise<SessionRecord[]> => {
    const records: SessionRecord[] = [];
    for (let index = 0; index === 0 || !options.isOver(); index += 1) {
      const id = `chaos-${lane}-${index}`;
      const seen: number[] = [];
      stamps.set(id, seen);
      records.push(await runSession(world, id, seen, options));
    }
    return records;
  };
  const lanes = Array.from({ length: options.lanes }, (_, lane) => runLane(lane));
  return {
    records: Promise.all(lanes).then((records) => records.flat()),
    recoveryAfter: (atMs) => longestWait([...stamps.values()], atMs),
  };
}

async function runSession(
  world: World,
  id: string,
  seen: number[],
  options: SessionLanesOptions,
): Promise<SessionRecord> {
  const { sessions } = world.drover;
  await sessions.create(
    {
      agent: { name: 'chaos', tools: [{ type: 'agent_toolset_20260401' }] },
      environment: options.environment,
      initial_events: firstMessage(id),
    },
    { id },
  );
  const ended = await untilIdle(world, id, seen, options);
  if (ended !== null) progress(`${id}: ${ended}`);
  await sessions.archive(id);
  const stuck = ended ?? (await untilClosed(world, id, options.stuckMs));
  const [events, hands] = await Promise.all([
    sessions.events(id),
    readHandUses(world.client.workflow, id),
  ]);
  return { id, events, hands, stuck };
}

/** @returns what it waits for, when it has waited for too long. */
async function untilIdle(
  { drover, client }: World,
  id: string,
  seen: number[],
  { stuckMs, isOver }: SessionLanesOptions,
): Promise<string | null> {
  const stop = new AbortController();
  let last = 'nothing';
  let aliveMs = Date.now();
  const watch = setInterval(() => {
    if (!isOver()) aliveMs = Date.now();
    if (Date.now() - aliveMs > stuckMs) stop.abort();
  }, POLL_MS);
  try {
    for await (const event of drover.sessions.tail(id, { signal: stop.signal })) {
      aliveMs = Date.now();
      seen.push(aliveMs);
      last = event.type;
      if (event.type !== 'session.status_idle') continue;
      const { type } = event.stop_reason;
      return type === 'end_turn' ? null : `it stopped: ${type}`;
    }
    return `no event for ${stuckMs / 1000} s after ${last}; ${await pendingOf(client, id)}`;
  } finally {
    clearInterval(watch);
  }
}

/** What it does, as its description has it. */
async function pendingOf(client: Client, id: string): Promise<string> {
  const { raw } = await client.workflow.getHandle(id).describe();
  const pending = (raw.pendingActivities ?? []).map(
    ({ activityType, attempt, lastFailure }) =>
      `${activityType?.name}, attempt ${attempt}, last failure: ${lastFailure?.message ?? 'none'}`,
  );
  return `pending: ${pending.join('; ') || 'nothing'}`;
}

/** Its hands are released in the end, and only then does it close. */
async function untilClosed({ client }: World, id: string, stuckMs: number): Promise<string | null> {
  const deadline = Date.now() + stuckMs;
  for (;;) {
    const { status } = await client.workflow.getHandle(id).describe();
    if (status.name !== 'RUNNING') return null;
    if (Date.now() > deadline) {
      return `not closed ${stuckMs / 1000} s after its end; ${await pendingOf(client, id)}`;
    }
    await delay(POLL_MS);
  }
}

function longestWait(sessions: readonly (readonly number[])[], atMs: number): number | null {
  const waits = sessions.flatMap((stamps) => {
    const next = stamps.find((stamp) => stamp > atMs);
    const isAtWork = (stamps[0] ?? Number.POSITIVE_INFINITY) < atMs;
    return next === undefined || !isAtWork ? [] : [next - atMs];
  });
  return waits.length === 0 ? null : Math.max(...waits);
}
