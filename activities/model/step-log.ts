import type { ResolvedAgent } from '../../protocol/agent.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';

export interface StepContext {
  /** Event id of the step's own ActivityTaskScheduled. */
  readonly scheduledEventId: number;
  /** Run component of the ids of this step's events. */
  readonly identityRunId: string;
  /** The log strictly before that event, in log order. */
  readonly events: readonly SessionEvent[];
  readonly agent: ResolvedAgent;
}

/** What a model step reads of its session. The same for every attempt of the step. */
export interface StepLog {
  readStep(at: { workflowId: string; runId: string; activityId: string }): Promise<StepContext>;
}
