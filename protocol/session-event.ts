import type Anthropic from '@anthropic-ai/sdk';
import type { BetaManagedAgentsSpanModelUsage } from '@anthropic-ai/sdk/resources/beta/sessions/events';
import type { ResultContent } from './content.ts';
import type { UserEvent } from './user-event.ts';

/**
 * Events of the log: the vocabulary of the public Managed Agents API, as typed in
 * `@anthropic-ai/sdk` (`resources/beta/sessions/events`). Where the wire hides what a later request
 * needs, the event keeps the raw Messages API block in `block`.
 */

export type ContentBlock = Anthropic.Beta.BetaContentBlock;
export type ModelUsage = BetaManagedAgentsSpanModelUsage;

export type StopReason =
  | { readonly type: 'end_turn' }
  | { readonly type: 'requires_action'; readonly event_ids: readonly string[] }
  | { readonly type: 'retries_exhausted' }
  | { readonly type: 'budget_reached' }
  | { readonly type: 'refusal' };

export type StopReasonType = StopReason['type'];

export type RetryStatus = { readonly type: 'retrying' | 'exhausted' | 'terminal' };

export type SessionErrorType =
  | 'model_overloaded_error'
  | 'model_rate_limited_error'
  | 'model_request_failed_error'
  | 'billing_error'
  | 'mcp_authentication_failed_error'
  | 'mcp_connection_failed_error'
  | 'invalid_event_error'
  | 'unknown_error';

export interface SessionErrorObject {
  readonly type: SessionErrorType;
  readonly message: string;
  readonly retry_status: RetryStatus;
  /** Of the errors of MCP servers. */
  readonly mcp_server_name?: string;
}

export type Permission = 'allow' | 'ask' | 'deny';

/** One text block of the model's answer, kept whole (`citations` included). */
export type AgentTextBlock = Anthropic.Beta.BetaTextBlock;

export interface AgentMessage {
  readonly type: 'agent.message';
  /** Consecutive text blocks of one answer. */
  readonly content: readonly AgentTextBlock[];
  /** A block this version does not know, kept to be sent back. `content` is empty then. */
  readonly block?: ContentBlock;
}

export interface AgentThinking {
  readonly type: 'agent.thinking';
  /** `thinking` with its signature, or `redacted_thinking`. */
  readonly block: ContentBlock;
}

export interface AgentToolUse {
  readonly type: 'agent.tool_use';
  /** The model's own id: results and confirmations refer to it. */
  readonly id: string;
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly evaluated_permission: Permission;
  /**
   * Present when the block holds more than id, name and input; always for server tools. Its own
   * `input` is empty then: the call's stands in `input` and is not stored twice.
   */
  readonly block?: ContentBlock;
}

export interface AgentCustomToolUse {
  readonly type: 'agent.custom_tool_use';
  readonly id: string;
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly block?: ContentBlock;
}

export interface AgentToolResult {
  readonly type: 'agent.tool_result';
  readonly tool_use_id: string;
  readonly content?: ResultContent;
  readonly is_error?: boolean | null;
  /** The raw result block of a server tool, which came within the model's answer. */
  readonly block?: ContentBlock;
}

/**
 * A call of an MCP tool. One whose `block` is a `tool_use` waits for the session to make it; others
 * the Messages API made itself (MCP connector), and their results came with the answer.
 */
export interface AgentMcpToolUse {
  readonly type: 'agent.mcp_tool_use';
  readonly id: string;
  /** As its server calls it. To the model it has another name, which stands in `block`. */
  readonly name: string;
  readonly mcp_server_name: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly evaluated_permission: Permission;
  readonly block?: ContentBlock;
}

export interface AgentMcpToolResult {
  readonly type: 'agent.mcp_tool_result';
  readonly mcp_tool_use_id: string;
  readonly content?: ResultContent;
  readonly is_error?: boolean | null;
  readonly block?: ContentBlock;
}

export interface AgentContextCompacted {
  readonly type: 'agent.thread_context_compacted';
  readonly block: ContentBlock;
}

export interface ModelRequestStart {
  readonly type: 'span.model_request_start';
}

export interface ModelRequestEnd {
  readonly type: 'span.model_request_end';
  readonly model_request_start_id: string;
  readonly is_error: boolean;
  readonly model_usage: ModelUsage;
  readonly model: string;
  /** The API's own; `interrupted` when a user interrupt cut the answer short. */
  readonly stop_reason: ModelStopReason;
  readonly stop_details?: RefusalDetails | null;
  /** `request-id` header of the answer, for support. */
  readonly request_id: string | null;
  /** Named assumptions that shaped this request. */
  readonly assumptions: readonly string[];
  /**
   * What else the API said about its answer, as it said it: id, all usage counters with their
   * iterations, container, context management. Null fields are left out.
   */
  readonly message?: Readonly<Record<string, unknown>>;
}

export type ModelStopReason = Anthropic.Beta.BetaStopReason | 'interrupted';

export interface RefusalDetails {
  readonly type: 'refusal';
  readonly category: string | null;
  readonly explanation: string | null;
}

export interface SessionError {
  readonly type: 'session.error';
  readonly error: SessionErrorObject;
}

export interface SessionUpdated {
  readonly type: 'session.updated';
  readonly title?: string | null;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface StatusRunning {
  readonly type: 'session.status_running';
}

export interface StatusIdle {
  readonly type: 'session.status_idle';
  readonly stop_reason: StopReason;
  readonly stop_details: RefusalDetails | null;
}

export interface StatusTerminated {
  readonly type: 'session.status_terminated';
  /** Why the workflow closed, in words; null when it completed. */
  readonly reason: string | null;
}

/** What an activity's result may put into the log. */
export type RecordedEvent =
  | AgentMessage
  | AgentThinking
  | AgentToolUse
  | AgentCustomToolUse
  | AgentToolResult
  | AgentMcpToolUse
  | AgentMcpToolResult
  | AgentContextCompacted
  | ModelRequestEnd
  | SessionError
  | SessionUpdated;

export type SessionEventBody =
  | UserEvent
  | RecordedEvent
  | ModelRequestStart
  | StatusRunning
  | StatusIdle
  | StatusTerminated;

/** One event of the log. */
export type SessionEvent = SessionEventBody & {
  /** Names the event, for ever. A tool use keeps the model's own id. */
  readonly id: string;
  /** Orders events and is the only cursor: a sortable string. */
  readonly position: string;
  /**
   * RFC 3339. For a user event the start of the first model request that saw it, null until then;
   * for others the time at which the log recorded it.
   */
  readonly processed_at: string | null;
};

export type SessionEventType = SessionEvent['type'];

export type EventOfType<Type extends SessionEventType> = Extract<SessionEvent, { type: Type }>;
