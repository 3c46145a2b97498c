import type { AgentReference, ResolvedAgent } from './agent.ts';
import type { EnvironmentReference, ResolvedEnvironment } from './environment.ts';
import type { RecordedEvent } from './session-event.ts';

/** Names of the activities whose payloads the log projects. A wire format: never rename. */
export const ACTIVITY = {
  respond: 'respond',
  record: 'record',
  resolve: 'resolve',
  provision: 'provision',
  execute: 'execute',
  release: 'release',
  listMcpTools: 'listMcpTools',
  callMcpTool: 'callMcpTool',
} as const;

export interface RespondInput {
  /** Count of model steps of the session so far, for people who read the history. */
  readonly step: number;
}

export interface RespondResult {
  /** Closed by one `span.model_request_end`. */
  readonly events: readonly RecordedEvent[];
  /**
   * The server suggested, before this step, that the run continue as new. It comes by a recorded
   * result because the flag of the workflow task is not the same on replay: a query that reaches a
   * cold worker may run the workflow ahead of the task that carries it.
   */
  readonly roll_over_suggested?: true;
}

export interface RecordInput {
  readonly events: readonly RecordedEvent[];
}

export interface ResolveInput {
  readonly agent?: AgentReference;
  /** Of hand `main`. */
  readonly environment?: EnvironmentReference;
  /** Of other hands, by name. */
  readonly environments?: Readonly<Record<string, EnvironmentReference>>;
}

export interface ResolveResult {
  readonly agent?: ResolvedAgent;
  readonly environment?: ResolvedEnvironment;
  readonly environments?: Readonly<Record<string, ResolvedEnvironment>>;
}

export interface BrainActivities {
  /**
   * One model request: reads its own session's log strictly before its own ActivityTaskScheduled
   * event, streams the answer, returns it as events. Heartbeat details are `RespondProgress`.
   */
  respond(input: RespondInput): Promise<RespondResult>;
  /** Writes into the log what the workflow decided without running anything: denials, closings. */
  record(input: RecordInput): Promise<RecordInput>;
  /** Fixes registry references to immutable versions, into the session's own history. */
  resolve(input: ResolveInput): Promise<ResolveResult>;
}

/** Heartbeat details of `respond`: the tail of what the model is saying. Best effort. */
export interface RespondProgress {
  readonly attempt: number;
  /** Id that the event will have in the log, or null before the first content. */
  readonly event_id: string | null;
  readonly event_type: 'agent.message' | 'agent.thinking' | null;
  /** Characters of the event's text that come before `text`. */
  readonly offset: number;
  /** At most the last 16 kB. */
  readonly text: string;
}
