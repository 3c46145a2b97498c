import proto from '@temporalio/proto';
import type { Requests } from './requests.ts';

/** A worker renews its long poll at least once a minute. */
const POLLER_FRESH_MS = 70_000;

/** Why nobody took a request for a workflow, and the remedy, in words. */
export async function whyUnanswered(requests: Requests, workflowId: string): Promise<string> {
  const { taskQueue } = requests;
  const { pollers } = await requests.run(undefined, () =>
    requests.client.workflowService.describeTaskQueue({
      namespace: requests.namespace,
      taskQueue: { name: taskQueue },
      taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    }),
  );
  const seenAtMs = (pollers ?? []).map(
    ({ lastAccessTime }) => (lastAccessTime?.seconds?.toNumber() ?? 0) * 1_000,
  );
  if (!seenAtMs.some((time) => Date.now() - time < POLLER_FRESH_MS)) {
    return `no worker polls task queue "${taskQueue}" at ${requests.address}; start one (npm start)`;
  }
  return (
    `a worker polled task queue "${taskQueue}" in the last minute but did not answer in time; ` +
    `see whether it runs and what it logs, and temporal workflow describe --workflow-id ${workflowId}`
  );
}
