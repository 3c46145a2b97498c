import type { ResultContent } from '../../protocol/content.ts';
import type { HandConfig } from '../../protocol/environment.ts';
import type {
  ExecuteInput,
  ExecuteProgress,
  HandInstance,
  ProvisionInput,
  ReleaseInput,
  ReleaseResult,
} from '../../protocol/hand.ts';
import type { CollectResult } from '../../protocol/output-list.ts';
import type { SessionResourceSpec } from '../../protocol/resource.ts';

/** A kind of hand. Whatever it is made of, a session uses it through these three. */
export interface HandProvider {
  /** What of an environment's `config` it heeds; more is refused. Default: nothing. */
  readonly supports?: readonly (keyof HandConfig)[];
  /** Types of resources that it puts into a hand; others are refused. Default: none. */
  readonly supportsResources?: readonly SessionResourceSpec['type'][];
  /** Makes the hand, or adopts the one made for the same name and generation. */
  provision(input: ProvisionInput, options?: ProvisionOptions): Promise<ProvisionedHand>;
  /**
   * Runs one call exactly once, on exactly the instance that the input names. A hand that is gone
   * is a result; the call is never taken elsewhere.
   *
   * @throws when the call cannot be taken (`CallConflictError`) or was detached from.
   */
  execute(input: ExecuteInput, options: ExecuteOptions): Promise<ExecuteOutcome>;
  /**
   * Ends the hand with every process in it; without an instance only what was kept of it is meant.
   * Done already is success.
   *
   * @param signal Aborted when this worker gives it up.
   * @returns what became of a workspace that was to be kept, when there is something to say.
   */
  release(input: ReleaseInput, signal?: AbortSignal): Promise<ReleaseResult | undefined>;
  /** See `OutputActivities.collect`. Without it hands of this kind give no files. */
  collect?(hand: HandInstance, signal: AbortSignal): Promise<CollectResult | null>;
}

export interface ProvisionOptions {
  /** What a hand that does not start waits for, in words for a person. */
  onWaiting(reason: string): void;
  /** Aborted when nobody wants the hand any more: what was begun is undone. */
  readonly abandoned: AbortSignal;
  /**
   * The first attempt of its activity: mostly nothing is there of the hand. A hint, no promise.
   * Default: false.
   */
  readonly isFirst?: boolean;
}

export interface ProvisionedHand {
  /** The provider's own id, never used twice. */
  readonly instance: string;
  /** RFC 3339: when its longest lifetime will end it. */
  readonly expires_at?: string;
}

export interface ExecuteOptions {
  /** Aborted by an interrupt: the call is stopped, and what it said so far is its result. */
  readonly interrupt: AbortSignal;
  /** Aborted when this worker gives the call up: it goes on in the hand for whoever asks next. */
  readonly detach: AbortSignal;
  onProgress(progress: Omit<ExecuteProgress, 'call_id'>): void;
}

export interface ExecuteOutcome {
  readonly content: ResultContent;
  readonly is_error: boolean;
  /** The instance is gone; the next call needs a new one. */
  readonly lost?: true;
}
