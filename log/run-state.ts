import type { ResolvedAgent } from '../protocol/agent.ts';
import type { ResolvedEnvironment } from '../protocol/environment.ts';
import type { HandInstance, PassedHand } from '../protocol/hand.ts';
import type { McpTool, McpTools } from '../protocol/mcp.ts';
import { NO_USAGE } from '../protocol/model-usage.ts';
import type { SessionResourceSpec } from '../protocol/resource.ts';
import type { OpenCall } from '../protocol/session.ts';
import type {
  ModelUsage,
  RefusalDetails,
  SessionEvent,
  StopReason,
} from '../protocol/session-event.ts';

/** From history event `from_event` on, events are recorded by `run_id`. */
export interface Identity {
  readonly from_event: number;
  readonly run_id: string;
}

/** What a later history event needs to know of an activity that is still open. */
export interface OpenActivity {
  readonly name: string;
  /** Id of the step's `span.model_request_start`. */
  readonly start_id?: string;
  readonly call_id?: string;
  readonly hand?: HandInstance;
  /** Of the MCP server that it asks. */
  readonly server?: string;
  /** Somebody's own worker runs it: what it returns is the call's result. */
  readonly is_pushed?: true;
}

/** The tools of an MCP server as it named them. */
export interface McpList {
  /** History event that tells them; 0 in an earlier run. */
  readonly event_id: number;
  readonly server: string;
  readonly tools: readonly McpTool[];
}

export interface Inline {
  readonly agent?: ResolvedAgent;
  readonly environment?: ResolvedEnvironment;
  readonly environments?: Readonly<Record<string, ResolvedEnvironment>>;
}

export type RunEnd =
  | { readonly type: 'continued'; readonly next_run_id: string }
  | { readonly type: 'ended' };

/**
 * The projection of one run so far: what folding its next history event needs, and the session as a
 * resource. Plain JSON, small, so that it can be kept and taken up anywhere. A run needs nothing of
 * the runs before it but `queued`, and for its model steps `mcp_lists`.
 */
export interface RunState {
  readonly run_index: number;
  readonly last_event_id: number;
  /** Segments of the history by the run that recorded them: one, and one more for each reset. */
  readonly identities: readonly Identity[];
  /** Ids of updates whose events are in the log, or were in an earlier run. */
  readonly updates: readonly string[];
  /**
   * Answers in updates that a reset put back, by update id, until they are accepted again. Which
   * they may not be: the call that they answered need not wait any more, or not yet.
   */
  readonly admitted: Readonly<Record<string, readonly string[]>>;
  /** By the id of their ActivityTaskScheduled event. */
  readonly activities: Readonly<Record<number, OpenActivity>>;
  /** User events that no model step has seen, oldest first; of earlier runs too. */
  readonly queued: readonly SessionEvent[];
  /** Time of the run's first model step, which sees what earlier runs left queued. */
  readonly first_step_at: string | null;
  readonly calls: readonly OpenCall[];
  /** Answers, by kind and call, that stand in the log before their call does. */
  readonly early_answers: readonly string[];
  readonly refusal: RefusalDetails | null;
  readonly status: 'running' | 'idle';
  readonly stop_reason: StopReason | null;
  readonly title: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly agent: ResolvedAgent | null;
  readonly environment: ResolvedEnvironment | null;
  readonly environments: Readonly<Record<string, ResolvedEnvironment>>;
  /** Hands of other sessions, by the name they have in this one. */
  readonly passed: Readonly<Record<string, PassedHand>>;
  readonly resources: readonly SessionResourceSpec[];
  readonly vault_ids: readonly string[];
  /** In the order of the log. */
  readonly mcp_lists: readonly McpList[];
  /** Inline definitions that wait for the registry's answer about the other one. */
  readonly inline: Inline;
  readonly usage: ModelUsage;
  readonly hands: Readonly<Record<string, HandInstance>>;
  readonly created_at: string | null;
  readonly end: RunEnd | null;
}

/** The state before a run's first history event. */
export function startRun(
  runIndex: number,
  queued: readonly SessionEvent[] = [],
  mcpLists: readonly McpList[] = [],
): RunState {
  return {
    run_index: runIndex,
    last_event_id: 0,
    identities: [],
    updates: [],
    admitted: {},
    activities: {},
    queued,
    first_step_at: null,
    calls: [],
    early_answers: [],
    refusal: null,
    status: 'idle',
    stop_reason: null,
    title: null,
    metadata: {},
    agent: null,
    environment: null,
    environments: {},
    passed: {},
    resources: [],
    vault_ids: [],
    mcp_lists: mcpLists.map((list) => ({ ...list, event_id: 0 })),
    inline: {},
    usage: NO_USAGE,
    hands: {},
    created_at: null,
    end: null,
  };
}

/** The run that records what comes next: it names the events. */
export function identityRunId(state: Pick<RunState, 'identities'>): string {
  return state.identities.at(-1)?.run_id ?? '';
}

/** The run that recorded a history event. */
export function identityAt(state: Pick<RunState, 'identities'>, eventId: number): string {
  return state.identities.findLast(({ from_event }) => from_event <= eventId)?.run_id ?? '';
}

/** Calls that wait for a person or the client, in the order in which they were made. */
export function waitingCalls(calls: Iterable<OpenCall>): OpenCall[] {
  return [...calls].filter((call) => call.waits_for !== 'ready');
}

/** The tools that MCP servers have named before a history event. */
export function mcpToolsBefore({ mcp_lists }: RunState, eventId: number): McpTools {
  const named = mcp_lists.filter(({ event_id }) => event_id < eventId);
  return Object.fromEntries(named.map(({ server, tools }) => [server, tools]));
}
