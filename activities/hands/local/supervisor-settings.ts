import type { EnvironmentDefinition } from '../../../protocol/environment.ts';

/** `required`: no isolation, no hand. `unconfined`: the operator takes that on. */
export type Isolation = 'required' | 'unconfined';

/** What a supervisor is started with: its one argument, as JSON. */
export interface SupervisorSettings {
  readonly state_folder: string;
  readonly session_id: string;
  readonly chain_id: string;
  readonly name: string;
  readonly generation: number;
  readonly instance: string;
  readonly isolation: Isolation;
  readonly networking: EnvironmentDefinition['networking'];
  /** Time without a call after which the supervisor ends itself. */
  readonly idle_ms: number;
  /** What an isolated hand may not read. */
  readonly hidden_paths: readonly string[];
  /** `PATH` of programs. */
  readonly path: string;
}

/** What a supervisor tells whoever started it, as one line on descriptor 3. */
export type SupervisorReport =
  | { readonly type: 'ready' }
  /** Another supervisor has the hand. */
  | { readonly type: 'taken' }
  | { readonly type: 'isolation_missing'; readonly message: string }
  | { readonly type: 'failed'; readonly message: string };
