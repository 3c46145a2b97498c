import { workflowInfo } from '@temporalio/workflow';
import { describeUndecodable, isUndecodable } from '../protocol/undecodable.ts';

/**
 * Throws where a value cannot be decoded that was read before, or was written by this chain itself:
 * its key is lost, and to go on without it would end the session or make another one of it. The
 * workflow task fails, and Temporal tries it again until a worker has the key.
 */
export function holdUnread(value: unknown, name: string): void {
  if (!isUndecodable(value)) return;
  const { unsafe, continuedFromExecutionRunId } = workflowInfo();
  if (!unsafe.isReplaying && continuedFromExecutionRunId === undefined) return;
  throw new Error(
    `${describeUndecodable(value, name)}; nothing is lost, and it goes on once its workers can read it`,
  );
}
