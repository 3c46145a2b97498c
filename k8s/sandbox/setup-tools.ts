import type { Tools } from './pod-hand.ts';

export interface SetupToolsOptions {
  /** Environment of the programs that they run. */
  readonly variables: NodeJS.ProcessEnv;
}

/** What provisioning may ask of a pod: each a journaled call, so that no attempt repeats it. */
export function createSetupTools(_options: SetupToolsOptions): Tools {
  return {};
}
