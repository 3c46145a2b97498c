import type { WorkflowService } from '@temporalio/client';
import type { ActivityPlace } from './activities.ts';

/**
 * How the attempt before a running one ended, as the server recorded it: a worker that vanished has
 * left no word of its own.
 */
export function createLastFailureReader(deps: {
  readonly service: Pick<WorkflowService, 'describeWorkflowExecution'>;
  readonly namespace: string;
}): (activity: ActivityPlace) => Promise<string | undefined> {
  return async ({ workflowId, runId, activityId }) => {
    const { pendingActivities } = await deps.service.describeWorkflowExecution({
      namespace: deps.namespace,
      execution: { workflowId, runId },
    });
    const pending = pendingActivities?.find((activity) => activity.activityId === activityId);
    return pending?.lastFailure?.applicationFailureInfo?.type ?? undefined;
  };
}
