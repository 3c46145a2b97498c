import type Anthropic from '@anthropic-ai/sdk';

/** A parsed request as the model server got it. */
export type RehearsalRequest = Omit<Anthropic.Beta.MessageCreateParams, 'stream'> & {
  readonly stream?: boolean;
};

type ContentBlock = Anthropic.Beta.BetaContentBlock;

/** A block of an answer; a tool use may leave its id to the server, which gives it a fresh one. */
export type RehearsalBlock =
  | ContentBlock
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'tool_use';
      readonly name: string;
      readonly input: Readonly<Record<string, unknown>>;
      readonly id?: string;
    };

/** Awaited before each event of a stream: paces it, or holds it open until a test lets go. */
export type Pace = (event: { readonly index: number; readonly type: string }) => Promise<void>;

/** How a stream ends before its last event, after `afterEvents` events. */
export type BrokenEnd =
  /** The body ends as if it were whole. */
  | { readonly type: 'cut'; readonly afterEvents: number }
  /** The connection is reset. */
  | { readonly type: 'drop'; readonly afterEvents: number }
  | { readonly type: 'hang'; readonly afterEvents: number }
  | {
      readonly type: 'error';
      readonly afterEvents: number;
      readonly error: { readonly type: string; readonly message: string };
    };

export interface MessageTurn {
  readonly type: 'message';
  readonly content: readonly RehearsalBlock[];
  /** Default: `tool_use` when the content holds one, else `end_turn`. */
  readonly stop_reason?: Anthropic.Beta.BetaStopReason;
  /** More fields of the message, `usage` included; they win over the made-up ones. */
  readonly message?: Readonly<Record<string, unknown>>;
  /** Characters of one delta. Default 24. */
  readonly deltaCharacters?: number;
  readonly pace?: Pace;
  readonly ends?: BrokenEnd;
}

export type Turn =
  | MessageTurn
  /** SSE text, played unchanged, such as a recorded one. */
  | {
      readonly type: 'sse';
      readonly text: string;
      readonly pace?: Pace;
      readonly ends?: Exclude<BrokenEnd, { type: 'error' }>;
    }
  /** An HTTP error; a string body is sent as it is. */
  | {
      readonly type: 'error';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: unknown;
    }
  /** Takes the request and never answers. */
  | { readonly type: 'hang' };

/**
 * Decides what the model says. A player that is a function of the conversation alone survives
 * being asked twice for the same step.
 */
export type Player = (
  request: RehearsalRequest,
  context: { readonly index: number },
) => Turn | Promise<Turn>;
