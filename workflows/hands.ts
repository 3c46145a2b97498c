import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { ResolvedEnvironment } from '../protocol/environment.ts';
import { FAILURE } from '../protocol/failure.ts';
import {
  type HandInstance,
  type HandName,
  MAIN_HAND,
  type ProvisionInput,
  type ReleasedHand,
} from '../protocol/hand.ts';
import type { HandState } from '../protocol/session.ts';
import { vaultQueueOf } from '../protocol/task-queue.ts';
import { grant, provision, release, releaseKeeping } from './activities.ts';
import { releaseTime } from './release-time.ts';
import type { SessionState } from './session-state.ts';

const FIRST_GENERATION: HandState = { generation: 1, instance: null };

/**
 * The session's own hands: made at the first call that needs one, once for calls that ask together,
 * anew (next generation) after a loss or a release. Nobody nurses.
 */
export class Hands {
  private readonly provisioning = new Map<string, Promise<HandInstance>>();
  private readonly releasing = new Map<string, Promise<void>>();
  /** Calls that run on a hand, or wait for it. */
  private readonly calls = new Map<string, number>();
  /** Timers that end with the instance they are for. */
  private readonly watches = new Map<string, CancellationScope>();
  private readonly root = CancellationScope.current();
  private readonly state: SessionState;

  constructor(state: SessionState) {
    this.state = state;
    for (const [name, { release_at }] of state.hands) {
      if (release_at !== undefined) this.watchEnd(name, release_at);
    }
  }

  /** Runs something that uses a hand: until it is done, the hand is not released for its age. */
  async using<Result>(name: string, use: () => Promise<Result>): Promise<Result> {
    this.count(name, 1);
    try {
      return await use();
    } finally {
      this.count(name, -1);
    }
  }

  /** @throws ActivityFailure when the hand could not be made. */
  async acquire(name: string): Promise<HandInstance> {
    await this.releasing.get(name);
    const current = this.state.hands.get(name) ?? FIRST_GENERATION;
    if (current.instance !== null) return current.instance;
    const pending = this.provisioning.get(name) ?? this.make(name, current.generation);
    this.provisioning.set(name, pending);
    try {
      return await pending;
    } finally {
      this.provisioning.delete(name);
    }
  }

  /** Two calls may report the same loss: only the first one counts. */
  lose(hand: HandInstance): void {
    const current = this.state.hands.get(hand.name);
    if (current?.instance?.instance !== hand.instance) return;
    this.state.hands.set(hand.name, { generation: hand.generation + 1, instance: null });
    this.watches.get(hand.name)?.cancel();
  }

  isHeld(name: string): boolean {
    return this.state.hands.get(name)?.instance != null && !this.releasing.has(name);
  }

  /** Generations of the hands that are held or being made. */
  generations(): Record<string, number> {
    const present: Record<string, number> = {};
    for (const [name, { generation }] of this.state.hands) {
      if (this.isHeld(name) || this.provisioning.has(name)) present[name] = generation;
    }
    return present;
  }

  /** Hands that are held, by the idle time after which they are released, shortest first. */
  heldByIdleTime(): { readonly name: string; readonly idleMs: number }[] {
    return [...this.state.hands.keys()]
      .filter((name) => this.isHeld(name))
      .map((name) => {
        const { idle_release_seconds } = this.state.environmentOf(name).definition;
        return { name, idleMs: idle_release_seconds * 1_000 };
      })
      .sort((a, b) => a.idleMs - b.idleMs);
  }

  /** A run must not end meanwhile: nobody would wait for what it began. */
  isReleasing(): boolean {
    return this.releasing.size > 0;
  }

  /** Releases a hand, its workspace kept, while the session goes on; the next call waits for it. */
  releaseForNow(name: string): void {
    if (!this.isHeld(name)) return;
    const done = this.release(name, { keepWorkspace: true }).finally(() =>
      this.releasing.delete(name),
    );
    this.releasing.set(name, done);
  }

  /** Releases every hand that was ever used, and whatever was kept of it. */
  async releaseForGood(): Promise<void> {
    await Promise.all(this.releasing.values());
    for (const watch of this.watches.values()) watch.cancel();
    const names = [...this.state.hands.keys()];
    await Promise.all(names.map((name) => this.release(name, { keepWorkspace: false })));
  }

  private async release(
    name: string,
    { keepWorkspace }: { readonly keepWorkspace: boolean },
  ): Promise<void> {
    const { generation, instance } = this.state.hands.get(name) ?? FIRST_GENERATION;
    const { provider, config, task_queue } = this.state.environmentOf(name).definition;
    const hand: ReleasedHand = instance ?? { ...ownName(name, generation), provider, instance };
    const run = keepWorkspace ? releaseKeeping : release;
    const rules =
      keepWorkspace && config?.snapshot !== undefined ? { snapshot: config.snapshot } : {};
    const servers = this.state.agent?.definition.mcp_servers ?? [];
    const isLast = !keepWorkspace && name === MAIN_HAND && servers.length > 0;
    try {
      await CancellationScope.nonCancellable(() =>
        run.executeWithOptions({ taskQueue: task_queue, summary: `release ${name}` }, [
          {
            hand,
            keep_workspace: keepWorkspace,
            ...rules,
            ...(isLast ? { has_mcp_results: true } : {}),
          },
        ]),
      );
    } catch (error) {
      // Nobody nurses: a hand that cannot be reached ends by its own lease.
      if (!(error instanceof ActivityFailure)) throw error;
    }
    if (instance !== null) this.lose(instance);
  }

  /** A reset forgets generations that were: the hand says so, and goes on after them. */
  private async make(name: string, generation: number): Promise<HandInstance> {
    // Whatever comes of it, the end of the session has it removed.
    this.state.hands.set(name, { generation, instance: null });
    try {
      return await this.provision(name, generation);
    } catch (error) {
      const present = presentGeneration(error);
      if (present === undefined || present < generation) throw error;
      return this.make(name, present + 1);
    }
  }

  private async provision(name: string, generation: number): Promise<HandInstance> {
    const environment: ResolvedEnvironment = this.state.environmentOf(name);
    const handName = ownName(name, generation);
    const grants = await this.grants(handName);
    const { hand, expires_at } = await provision.executeWithOptions(
      { taskQueue: environment.definition.task_queue, summary: `provision ${name}` },
      [
        {
          hand: handName,
          environment,
          resources: name === MAIN_HAND ? this.state.resources : [],
          ...grants,
        },
      ],
    );
    const release_at = expires_at === undefined ? undefined : releaseTime(expires_at, Date.now());
    const held = { generation, instance: hand };
    this.state.hands.set(name, release_at === undefined ? held : { ...held, release_at });
    if (release_at !== undefined) this.watchEnd(name, release_at);
    return hand;
  }

  /** Asked for each generation: what the vaults say now counts. */
  private async grants(hand: HandName): Promise<Pick<ProvisionInput, 'grants'>> {
    const { vaultIds: vault_ids } = this.state;
    // Sessions without vaults schedule what they always did.
    if (vault_ids.length === 0) return {};
    const taskQueue = vaultQueueOf(workflowInfo().taskQueue);
    const options = { taskQueue, summary: `grant ${hand.name}` };
    return { grants: await grant.executeWithOptions(options, [{ hand, vault_ids }]) };
  }

  /** Releases a hand before its longest lifetime ends it, once no call runs on it. */
  private watchEnd(name: string, releaseAt: string): void {
    // Of the session, not of the turn in which the hand happens to be made.
    const watch = new CancellationScope({ cancellable: true, parent: this.root });
    this.watches.set(name, watch);
    void watch
      .run(async () => {
        // Always a timer: whether there is one must not depend on the time of the present task.
        await sleep(Math.max(Date.parse(releaseAt) - Date.now(), 1));
        await condition(() => (this.calls.get(name) ?? 0) === 0);
      })
      .then(
        () => this.releaseForNow(name),
        (error: unknown) => {
          if (!isCancellation(error)) throw error;
        },
      );
  }

  private count(name: string, by: number): void {
    this.calls.set(name, (this.calls.get(name) ?? 0) + by);
  }
}

function ownName(name: string, generation: number): HandName {
  const { workflowId, firstExecutionRunId } = workflowInfo();
  return { session_id: workflowId, chain_id: firstExecutionRunId, name, generation };
}

function presentGeneration(error: unknown): number | undefined {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  if (!(cause instanceof ApplicationFailure)) return undefined;
  const present: unknown = cause.details?.[0];
  const isSuperseded = cause.type === FAILURE.sandboxSuperseded && typeof present === 'number';
  return isSuperseded ? present : undefined;
}
