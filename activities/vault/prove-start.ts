import type { StartProofActivities } from '../../protocol/start-proof.ts';
import type { Authority } from './authority.ts';
import { callingExecution } from './calling-execution.ts';
import { toVaultFailure } from './to-vault-failure.ts';

/** Signs with what the calling session was started, while its first run can be read. */
export function createStartProofActivities(deps: {
  readonly authority: Authority;
}): StartProofActivities {
  return {
    async proveStart() {
      try {
        return await deps.authority.proveStart(callingExecution());
      } catch (error) {
        throw toVaultFailure(error);
      }
    },
  };
}
