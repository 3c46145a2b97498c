import { proxyActivities } from '@temporalio/workflow';
import type { CollectResult, OutputActivities, OutputsInput } from '../protocol/output-list.ts';

/** Brings the files of one living hand into the store, apart from the history of its session. */
export function outputs({ hand, task_queue }: OutputsInput): Promise<CollectResult | null> {
  const { collect } = proxyActivities<OutputActivities>({
    taskQueue: task_queue,
    scheduleToStartTimeout: '15 seconds',
    scheduleToCloseTimeout: '12 minutes',
    heartbeatTimeout: '10 seconds',
    retry: {
      initialInterval: '250 milliseconds',
      maximumInterval: '5 seconds',
      maximumAttempts: 5,
    },
  });
  return collect({ hand });
}
