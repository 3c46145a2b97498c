import { createCloneTool } from '../../hand/clone-repository.ts';
import { createInstallTool } from './install-packages.ts';
import { SANDBOX } from './layout.ts';
import { wordsOfPath } from './path-failure.ts';
import type { Tools } from './pod-hand.ts';
import { runConfined } from './run-confined.ts';

export interface SetupToolsOptions {
  /** Environment of the programs that they run. */
  readonly variables: NodeJS.ProcessEnv;
}

/** What provisioning may ask of a pod: each a journaled call, so that no attempt repeats it. */
export function createSetupTools({ variables }: SetupToolsOptions): Tools {
  return {
    install_packages: createInstallTool(variables),
    clone_repository: createCloneTool({
      variables,
      folder: SANDBOX.workspace,
      run: runConfined,
      wordsOfPath,
    }),
  };
}
