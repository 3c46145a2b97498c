import { z } from 'zod';
import type { HandInstance } from './hand.ts';

const OutputPath = z
  .string()
  .min(1)
  .max(1_024)
  .refine(
    (path) => path.split('/').every((word) => word !== '' && word !== '.' && word !== '..'),
    'must be a path within the outputs',
  )
  .refine((path) => !path.includes('\0'), 'must be a path');

/** A file that a session gave: what lay under `/mnt/session/outputs` of a hand. */
export const OutputFile = z.object({
  path: OutputPath,
  bytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** RFC 3339. */
  modified_at: z.string().max(64),
});
export type OutputFile = z.infer<typeof OutputFile>;

/** The files that one hand gave, as they were last collected. Their content is in the store. */
export const OutputList = z.object({
  hand: z.string(),
  collected_at: z.string(),
  files: z.array(OutputFile),
  /** The hand has more files than are collected. */
  is_cut: z.boolean(),
});
export type OutputList = z.infer<typeof OutputList>;

/** A hand whose files are to be brought into the store. */
export interface CollectInput {
  readonly hand: HandInstance;
}

export interface CollectResult {
  readonly files: number;
  readonly bytes: number;
  readonly is_cut: boolean;
}

/** Input of workflow type `outputs`. */
export interface OutputsInput extends CollectInput {
  /** Where the hand is served. */
  readonly task_queue: string;
}

/** What a worker of hands that give files serves besides `HandActivities`. */
export interface OutputActivities {
  /**
   * Brings the store up to date with the files that a living hand has given; null when it is gone:
   * what it gave was brought there as it was released. Heartbeats at least every 5 s.
   */
  collect(input: CollectInput): Promise<CollectResult | null>;
}
