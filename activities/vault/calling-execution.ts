import { activityInfo } from '@temporalio/activity';
import { FAILURE } from '../../protocol/failure.ts';
import { VaultError } from '../../vault/vault-error.ts';
import type { CallingExecution } from './authority.ts';

/** @throws VaultError The activity is no workflow's. */
export function callingExecution(): CallingExecution {
  const { workflowExecution, workflowType } = activityInfo();
  if (workflowExecution === undefined) {
    throw new VaultError(FAILURE.vaultNotPermitted, 'only a session is given the use of a vault');
  }
  return { ...workflowExecution, workflowType: workflowType ?? '' };
}
