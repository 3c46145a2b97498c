import { z } from 'zod';
import type { Attachment } from './attachment.ts';
import type { HandConfig, ResolvedEnvironment } from './environment.ts';
import type { HandGrants } from './grant.ts';
import { HandKey } from './hand-key.ts';
import type { SessionResourceSpec } from './resource.ts';
import type { AgentMcpToolResult, AgentToolResult } from './session-event.ts';
import { HandsQueue } from './task-queue.ts';

/** The default hand of a session. */
export const MAIN_HAND = 'main';

/** A hand as the session names it; each loss or release starts a new generation. */
export interface HandName {
  /** Workflow id of the session that owns it. */
  readonly session_id: string;
  /** Run id of that session's first run: its id may be used again after it ended. */
  readonly chain_id: string;
  readonly name: string;
  readonly generation: number;
}

/** One provisioned hand. `instance` is the provider's own id (pod UID, supervisor id). */
export interface HandInstance extends HandName {
  readonly provider: string;
  readonly instance: string;
}

/**
 * A hand of another session, passed on to this one. Its owner makes and releases it; whoever
 * borrows it only calls it.
 */
export const PassedHand = z.strictObject({
  type: z.literal('hand'),
  session_id: z.string().min(1),
  chain_id: z.string().min(1),
  name: HandKey,
  generation: z.int().min(1),
  provider: z.string().min(1),
  instance: z.string().min(1),
  /** Where its calls run: that of its owner's environment. */
  task_queue: HandsQueue,
});
export type PassedHand = z.infer<typeof PassedHand>;

export interface ToolCall {
  /** The tool use's id: with the session it is the journal's key. */
  readonly id: string;
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

export interface ProvisionInput {
  readonly hand: HandName;
  readonly environment: ResolvedEnvironment;
  /** What is put into the hand as it is made. */
  readonly resources: readonly SessionResourceSpec[];
  /** Only of a session with vaults. */
  readonly grants?: HandGrants;
}

export interface ProvisionResult {
  readonly hand: HandInstance;
  /**
   * RFC 3339: when the hand will be ended by its longest lifetime. The session releases it before
   * that, its workspace kept, once no call runs.
   */
  readonly expires_at?: string;
}

export interface ExecuteInput {
  readonly hand: HandInstance;
  /** Journal scope: the session that makes the call, which may differ from the hand's owner. */
  readonly session_id: string;
  readonly call: ToolCall;
  /** The call writes this file: the content is in the store. */
  readonly attachment?: Attachment;
}

export interface ExecuteResult {
  /** Of a file that was written, the result that came with it. */
  readonly events: readonly [AgentToolResult | AgentMcpToolResult];
  /** The hand instance is gone; the next call needs a new generation. */
  readonly lost?: true;
}

/** A hand to end. Without an instance only what was kept of it (workspace, snapshot) is meant. */
export interface ReleasedHand extends HandName {
  readonly provider: string;
  readonly instance: string | null;
}

export interface ReleaseInput {
  readonly hand: ReleasedHand;
  /**
   * Keep the workspace for a later generation of the same hand. A session that ends keeps none: it
   * releases every hand it ever used.
   */
  readonly keep_workspace: boolean;
  /** Rules of the environment for what is kept. */
  readonly snapshot?: HandConfig['snapshot'];
  /** Results of MCP tools may be in the store that the hand never got: they go with it. */
  readonly has_mcp_results?: true;
}

/** What became of a workspace that was to be kept. */
export type ReleaseResult =
  | { readonly workspace: 'kept'; readonly files: number; readonly bytes: number }
  | { readonly workspace: 'not_kept'; readonly because: string };

/**
 * The port of every hand, as activities on an environment's task queue. Heartbeat details of
 * `execute` are `ExecuteProgress`.
 */
export interface HandActivities {
  /**
   * Makes the hand, or adopts the one made for the same name and generation. Heartbeats at least
   * every 5 s.
   */
  provision(input: ProvisionInput): Promise<ProvisionResult>;
  /**
   * Runs one call exactly once on exactly this instance. Tool failures, lost hands and unknown
   * outcomes are results with `is_error`; cancellation stops the command and returns what it said.
   */
  execute(input: ExecuteInput): Promise<ExecuteResult>;
  /**
   * Ends the hand; done already is success. Heartbeats at least every 5 s while it keeps a
   * workspace.
   */
  release(input: ReleaseInput): Promise<ReleaseResult | undefined>;
}

export interface ExecuteProgress {
  readonly call_id: string;
  /** Last lines of output, at most 2 kB. */
  readonly tail: string;
  readonly output_bytes: number;
}
