import type { V1Job } from '@kubernetes/client-node';

const ENDS = ['Failed', 'Complete', 'FailureTarget', 'SuccessCriteriaMet'];

/** Whether a Job runs no more, or is about to. */
export function hasEnded({ status }: V1Job): boolean {
  return (status?.conditions ?? []).some(
    ({ type, status: value }) => ENDS.includes(type) && value === 'True',
  );
}
