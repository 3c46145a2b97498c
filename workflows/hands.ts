import { ActivityFailure, ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import { FAILURE } from '../protocol/failure.ts';
import { type HandInstance, MAIN_HAND } from '../protocol/hand.ts';
import type { HandState } from '../protocol/session.ts';
import { provision, release } from './activities.ts';
import type { SessionState } from './session-state.ts';

const FIRST_GENERATION: HandState = { generation: 1, instance: null };

/**
 * The session's hands: made at the first call that needs one, once for calls that ask together,
 * anew (next generation) after a loss or a release. Nobody nurses.
 */
export class Hands {
  private readonly provisioning = new Map<string, Promise<HandInstance>>();
  private readonly state: SessionState;

  constructor(state: SessionState) {
    this.state = state;
  }

  /** @throws ActivityFailure when the hand could not be made. */
  async acquire(name: string): Promise<HandInstance> {
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
  }

  hasAny(): boolean {
    return [...this.state.hands.values()].some((hand) => hand.instance !== null);
  }

  async releaseAll({ keepWorkspace }: { keepWorkspace: boolean }): Promise<void> {
    const instances = [...this.state.hands.values()].flatMap((hand) => hand.instance ?? []);
    await Promise.all(
      instances.map(async (hand) => {
        try {
          await release.executeWithOptions(this.options(`release ${hand.name}`), [
            { hand, keep_workspace: keepWorkspace },
          ]);
        } catch (error) {
          // Nobody nurses: a hand that cannot be reached ends by its own lease.
          if (!(error instanceof ActivityFailure)) throw error;
        }
        this.lose(hand);
      }),
    );
  }

  /** Options of an activity that must run where this session's hands are. */
  options(summary: string): { taskQueue: string; summary: string } {
    return { taskQueue: this.environment().definition.task_queue, summary };
  }

  /** A reset forgets generations that were: the hand says so, and goes on after them. */
  private async make(name: string, generation: number): Promise<HandInstance> {
    try {
      return await this.provision(name, generation);
    } catch (error) {
      const present = presentGeneration(error);
      if (present === undefined || present < generation) throw error;
      return this.make(name, present + 1);
    }
  }

  private async provision(name: string, generation: number): Promise<HandInstance> {
    const { hand } = await provision.executeWithOptions(this.options(`provision ${name}`), [
      {
        hand: { ...identity(), name, generation },
        environment: this.environment(),
        resources: name === MAIN_HAND ? this.state.resources : [],
      },
    ]);
    this.state.hands.set(name, { generation, instance: hand });
    return hand;
  }

  private environment() {
    const { environment } = this.state;
    if (environment === null) throw new TypeError('a hand was asked for before the session opened');
    return environment;
  }
}

function identity(): Pick<HandInstance, 'session_id' | 'chain_id'> {
  const { workflowId, firstExecutionRunId } = workflowInfo();
  return { session_id: workflowId, chain_id: firstExecutionRunId };
}

function presentGeneration(error: unknown): number | undefined {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  if (!(cause instanceof ApplicationFailure)) return undefined;
  const present: unknown = cause.details?.[0];
  const isSuperseded = cause.type === FAILURE.sandboxSuperseded && typeof present === 'number';
  return isSuperseded ? present : undefined;
}
