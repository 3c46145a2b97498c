import { z } from 'zod';
import { AgentDefinition, AgentReference, type ResolvedAgent } from './agent.ts';
import { bounded } from './bounded.ts';
import { VaultIds } from './credential.ts';
import {
  EnvironmentDefinition,
  EnvironmentReference,
  type ResolvedEnvironment,
} from './environment.ts';
import { type HandInstance, MAIN_HAND, PassedHand, type ToolCall } from './hand.ts';
import { HandKey } from './hand-key.ts';
import { type SessionResourceSpec, SessionResourceSpecs } from './resource.ts';
import type { ModelUsage, RefusalDetails, StopReason } from './session-event.ts';
import type { StartProof } from './start-proof.ts';
import { UserEvents } from './user-event.ts';

/**
 * An inline definition, something named by its `type`, or a string that names a registered entity
 * at its latest version. Told apart by shape first, so that messages name the field.
 */
function source<Definition extends z.ZodType, Typed extends z.ZodType>(
  registered: 'agent' | 'environment',
  definition: Definition,
  types: Readonly<Record<string, Typed>>,
) {
  type Output = z.output<Definition> | z.output<Typed>;
  return z.unknown().transform((value, context): Output => {
    const named = typeof value === 'string' ? { type: registered, id: value } : value;
    const parsed = (schemaFor(named) ?? definition).safeParse(named);
    if (parsed.success) return parsed.data as Output;
    for (const { path, message } of parsed.error.issues) {
      context.addIssue({ code: 'custom', path, message });
    }
    return z.NEVER;
  });

  function schemaFor(named: unknown): Typed | undefined {
    if (typeof named !== 'object' || named === null || !('type' in named)) return undefined;
    const type = String(named.type);
    return Object.hasOwn(types, type) ? types[type] : types[registered];
  }
}

const AgentSource = source('agent', AgentDefinition, { agent: AgentReference });
const EnvironmentSource = source('environment', EnvironmentDefinition, {
  environment: EnvironmentReference,
});
const HandSource = source<typeof EnvironmentDefinition, TypedHandSource>(
  'environment',
  EnvironmentDefinition,
  { environment: EnvironmentReference, hand: PassedHand },
);
type TypedHandSource = typeof EnvironmentReference | typeof PassedHand;

const MAX_HANDS = 16;

/** Input of workflow type `session`. A string is one user message to the default agent. */
export const SessionInput = z.preprocess(
  (value) => (typeof value === 'string' ? { initial_events: [value] } : (value ?? {})),
  z
    .strictObject({
      agent: AgentSource.optional(),
      /** Of hand `main`. */
      environment: EnvironmentSource.optional(),
      /** Hands by name; `main` is there without being named. */
      hands: bounded(z.record(HandKey, HandSource), MAX_HANDS, 'hands').optional(),
      /** Put into hand `main` as it is made. */
      resources: SessionResourceSpecs.default([]),
      /** Vaults whose credentials it may use, in the order in which they are searched. */
      vault_ids: VaultIds.default([]),
      initial_events: UserEvents.optional(),
      title: z.string().max(200).nullish(),
      metadata: z.record(z.string(), z.string()).default({}),
      /** Written by a roll-over, never by a person. */
      continued: z
        .custom<Continued>((value) => typeof value === 'object' && value !== null)
        .optional(),
    })
    .superRefine(({ resources, vault_ids }, context) => {
      for (const [index, resource] of resources.entries()) {
        if (resource.type !== 'github_repository' || resource.credential == null) continue;
        const { vault_id } = resource.credential;
        if (vault_ids.includes(vault_id)) continue;
        const path = ['resources', index, 'credential', 'vault_id'];
        const message = `"${vault_id}" is not in vault_ids, which name what a session may use`;
        context.addIssue({ code: 'custom', path, message });
      }
    })
    .superRefine(({ environment, hands, resources }, context) => {
      const main = hands?.[MAIN_HAND];
      if (main === undefined) return;
      const path = ['hands', MAIN_HAND];
      if (environment !== undefined) {
        const message = 'is given twice: environment is short for it; leave one of them out';
        context.addIssue({ code: 'custom', path, message });
      }
      if ('type' in main && main.type === 'hand' && resources.length > 0) {
        const message = 'belongs to another session, so no resources can be put into it';
        context.addIssue({ code: 'custom', path, message });
      }
    }),
);
export type SessionInput = z.infer<typeof SessionInput>;

/** A tool call that has no result yet. */
export interface OpenCall extends ToolCall {
  /**
   * `ready` runs at the next step, `confirmation` waits for a person's word, `result` for the
   * client's `user.custom_tool_result`.
   */
  readonly waits_for: 'ready' | 'confirmation' | 'result';
  readonly hand: string;
  /** It is a tool of this MCP server, and no hand runs it. */
  readonly mcp_server_name?: string;
  /** Somebody's own worker runs it, and no hand. */
  readonly task_queue?: string;
}

/** Whether the tools of an MCP server stand in the log. */
export interface McpListing {
  /** Turn in which the server was asked last. */
  readonly turn: number;
  /** Otherwise it is asked again in another turn. */
  readonly is_known: boolean;
}

/** A hand by its name within the session. */
export interface HandState {
  readonly generation: number;
  /** Null: this generation is not provisioned (yet, or any more). */
  readonly instance: HandInstance | null;
  /** RFC 3339: when it is released to be made anew, since its longest lifetime ends soon after. */
  readonly release_at?: string;
}

/** A hand of another session as its borrower knows it. */
export interface BorrowedHand {
  readonly hand: PassedHand;
  readonly is_lost: boolean;
}

export interface RecentUpdate {
  readonly id: string;
  /** Number of events the update carried. */
  readonly count: number;
}

/** Control state that a roll-over carries. Never the transcript: that is in the earlier runs. */
export interface Continued {
  /** Index of the new run in the chain; the first run has 0. */
  readonly run_index: number;
  /** Run ids of the earlier runs, oldest first. */
  readonly run_ids: readonly string[];
  readonly created_at: string;
  readonly agent: ResolvedAgent;
  readonly environment: ResolvedEnvironment;
  readonly environments?: Readonly<Record<string, ResolvedEnvironment>>;
  readonly borrowed?: Readonly<Record<string, BorrowedHand>>;
  readonly resources?: readonly SessionResourceSpec[];
  readonly vault_ids?: readonly string[];
  readonly start_proof?: StartProof;
  /** By the name of the server. */
  readonly mcp_listings?: Readonly<Record<string, McpListing>>;
  readonly status: 'running' | 'idle';
  readonly stop_reason: StopReason | null;
  readonly stop_details: RefusalDetails | null;
  /** Input or tool results that a model step has still to answer. */
  readonly owes_response: boolean;
  /** Answers cut at the output limit, in a row. */
  readonly cut_answers: number;
  readonly calls: readonly OpenCall[];
  readonly hands: Readonly<Record<string, HandState>>;
  readonly usage: ModelUsage;
  readonly steps: number;
  readonly turns: number;
  /** Newest last, at most 1,000. */
  readonly recent_updates: readonly RecentUpdate[];
  /** Tail of the readable conversation for the Web UI, at most 4 kB. */
  readonly details: string;
}

export type SessionStatus = 'running' | 'idle' | 'rescheduling' | 'terminated';

/** A session as a resource, in the shape of the Managed Agents API where the two meet. */
export interface SessionResource {
  readonly type: 'session';
  readonly id: string;
  readonly status: SessionStatus;
  /** Why the session is idle; null while it runs and after it ended. */
  readonly stop_reason: StopReason | null;
  readonly title: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** Null until a registry reference is resolved. */
  readonly agent: ResolvedAgent | null;
  /** Of hand `main`. */
  readonly environment: ResolvedEnvironment | null;
  /** Of its other hands, by name. */
  readonly environments: Readonly<Record<string, ResolvedEnvironment>>;
  /** What was put into hand `main`. */
  readonly resources: readonly SessionResourceSpec[];
  /** Vaults whose credentials it may use. */
  readonly vault_ids: readonly string[];
  readonly usage: ModelUsage;
  /** Ids of tool uses that wait for a person or the client. */
  readonly pending_actions: readonly string[];
  /** Provisioned hands by name, those of other sessions that were passed on to it included. */
  readonly hands: Readonly<Record<string, HandInstance>>;
  readonly created_at: string;
}

/** Result of `send`: the ids that the events have in the log, in the order sent. */
export interface SendResult {
  readonly event_ids: readonly string[];
}
