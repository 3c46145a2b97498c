import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { TemporalNamespace } from '../../../k8s/hand-labels.ts';

/** What has become of a session, told from a later one that was given the same id. */
export type ChainState = 'open' | 'closed' | 'unknown';

export interface SessionChains {
  /**
   * @throws when the namespace cannot be asked, or is another one of the same name.
   */
  verifyNamespace(): Promise<void>;
  /** @throws when it cannot be told. */
  stateOf(sessionId: string, chainId: string): Promise<ChainState>;
}

const ENDED = ['COMPLETED', 'FAILED', 'CANCELLED', 'TERMINATED', 'TIMED_OUT'];

/** Asks the server itself: what visibility lists may lag behind. */
export function createSessionChains(client: Client, temporal: TemporalNamespace): SessionChains {
  return {
    async verifyNamespace() {
      const { namespaceInfo } = await client.workflowService.describeNamespace({
        namespace: temporal.name,
      });
      if (namespaceInfo?.id === temporal.id) return;
      throw new Error(
        `namespace "${temporal.name}" is another one than when this worker started: its id was ` +
          `${temporal.id} and is ${namespaceInfo?.id}. Restart the worker.`,
      );
    },

    async stateOf(sessionId, chainId) {
      try {
        const { status, raw } = await client.workflow.getHandle(sessionId).describe();
        const { firstRunId } = raw.workflowExecutionInfo ?? {};
        if (!firstRunId) throw new Error(`the server does not say of what chain ${sessionId} is`);
        return firstRunId !== chainId || ENDED.includes(status.name) ? 'closed' : 'open';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return 'unknown';
        throw error;
      }
    },
  };
}
