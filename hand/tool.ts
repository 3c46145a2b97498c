import type { CallResult } from './wire.ts';

/** A tool as the hand runs it. Its failures are results; a rejection is a fault of ours. */
export interface HandTool {
  /** Whether a call changes anything, so that its start must be on disk before it runs. */
  readonly hasEffects: boolean;
  run(input: Readonly<Record<string, unknown>>, call: RunningCall): Promise<CallResult>;
}

/** What a tool is told about a call, and tells. */
export interface RunningCall {
  /** The tool use's id. */
  readonly id: string;
  /** Aborted when the call is cancelled. */
  readonly signal: AbortSignal;
  /** To be called once, just before the call can have any effect. */
  onStart(): void;
  onProgress(progress: CallProgress): void;
}

export interface CallProgress {
  readonly tail: string;
  readonly output_bytes: number;
}
