import { setTimeout as delay } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { containerOf, type Visit } from '../../../hand/visit.ts';
import { FAILURE } from '../../../protocol/failure.ts';
import type { HandName } from '../../../protocol/hand.ts';
import type { ProvisionOptions } from '../provider.ts';
import type { Claim, Claims } from './claims.ts';
import type { Door } from './door.ts';

/** Which hand in a container is whose. */
export interface HandSlots {
  /**
   * The claim on the instance that is this hand's: the one that an earlier attempt claimed, or a free one, which
   * is waited for.
   *
   * @throws {ApplicationFailure} when none becomes free in time, or nobody waits any more.
   */
  acquire(owner: string, hand: HandName, options: AcquireOptions): Promise<Claim>;
  /** The instance is nobody's any more: it ends, at once or when it comes. */
  giveUp(owner: string, instance: string): Promise<void>;
  /** The same, unless it is another owner's by now. */
  yieldTo(owner: string, instance: string): Promise<void>;
  /** Waits a little for an instance that other workers have. */
  arrives(instance: string): Promise<boolean>;
  onVisit(visit: Visit): void;
}

export interface AcquireOptions extends ProvisionOptions {
  /** Time in which a hand must be free. */
  readonly startMs: number;
}

/** A hand finds a new worker in less. */
const ARRIVAL_MS = 5_000;
const LOOK_MS = 1_000;
const END_MS = 3_000;

export function createHandSlots(door: () => Door, claims: Claims): HandSlots {
  const end = async (instance: string): Promise<void> => {
    const stream = await door()
      .open(instance, 'end')
      .catch(() => undefined);
    if (stream === undefined) return;
    // Its container ends with it, and closes the stream.
    const ended = new Promise((resolve) => stream.once('close', resolve));
    stream.resume();
    await Promise.race([ended, delay(END_MS, undefined, { ref: false })]);
    stream.destroy();
  };
  const freeInstances = (): readonly string[] => {
    const taken = new Set(claims.list().map(({ claim }) => claim.instance));
    return door()
      .free()
      .map(({ instance }) => instance)
      .filter((instance) => !taken.has(instance));
  };
  const claimedBefore = async (owner: string): Promise<Claim | undefined> => {
    const claim = claims.find(owner);
    if (claim === undefined || (await slots.arrives(claim.instance))) return claim;
    await slots.giveUp(owner, claim.instance);
    return undefined;
  };
  const claimFree = (owner: string, { session_id, chain_id }: HandName): Claim | undefined => {
    const free = freeInstances();
    const instance = free[Math.floor(Math.random() * free.length)];
    if (instance === undefined) return undefined;
    const claimed_at = Math.floor(Date.now() / 1000);
    const claim = { instance, session_id, chain_id, claimed_at };
    return claims.make(owner, claim) ? claim : undefined;
  };
  const slots: HandSlots = {
    async acquire(owner, hand, options) {
      const { startMs, abandoned } = options;
      const tooLate = AbortSignal.any([abandoned, AbortSignal.timeout(startMs)]);
      for (;;) {
        const claim = (await claimedBefore(owner)) ?? claimFree(owner, hand);
        if (claim !== undefined) return claim;
        if (tooLate.aborted) throw noneFree(hand, startMs);
        options.onWaiting('a hand to be free: all containers of hands are taken, or starting');
        await door().changed(AbortSignal.any([tooLate, AbortSignal.timeout(LOOK_MS)]));
      }
    },
    async giveUp(owner, instance) {
      claims.giveUp(owner, instance);
      await end(instance);
    },
    async yieldTo(owner, instance) {
      if (door().ownerOf(instance) === owner) await slots.giveUp(owner, instance);
      else claims.giveUp(owner, instance);
    },
    async arrives(instance) {
      const tooLate = AbortSignal.timeout(ARRIVAL_MS);
      while (!door().isHere(instance)) {
        if (tooLate.aborted || door().hasEnded(instance)) return false;
        await door().changed(tooLate);
      }
      return true;
    },
    onVisit({ container, instance, owner }) {
      if (owner !== null) {
        if (claims.find(owner)?.instance !== instance) void end(instance);
        return;
      }
      for (const { owner: earlier, claim } of claims.list()) {
        const isOfEnded = containerOf(claim.instance) === container && claim.instance !== instance;
        if (isOfEnded) claims.giveUp(earlier, claim.instance);
      }
    },
  };
  return slots;
}

function noneFree({ name, session_id }: HandName, startMs: number): ApplicationFailure {
  return ApplicationFailure.create({
    type: FAILURE.sandboxUnschedulable,
    message:
      `Hand ${name} of session ${session_id} could not be made: no container of hands was free for ` +
      `${startMs / 1_000} s. Each is one session's: start more of them (DROVER_HANDS).`,
  });
}
