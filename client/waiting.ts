import proto, { type temporal } from '@temporalio/proto';
import { describeFailure } from '../log/failure-words.ts';
import { isRecord } from '../log/read-payload.ts';
import { ACTIVITY } from '../protocol/model-step.ts';

type Pending = temporal.api.workflow.v1.IPendingActivityInfo;

const { PENDING_ACTIVITY_STATE_SCHEDULED, PENDING_ACTIVITY_STATE_STARTED } =
  proto.temporal.api.enums.v1.PendingActivityState;

/** A worker that is there takes an activity at once. */
const UNTAKEN_MS = 5_000;

const SUBJECTS: Readonly<Record<string, string>> = {
  [ACTIVITY.respond]: 'the model request',
  [ACTIVITY.provision]: 'making the sandbox',
  [ACTIVITY.execute]: 'a tool call',
  [ACTIVITY.release]: 'releasing the sandbox',
  [ACTIVITY.listMcpTools]: 'asking an MCP server for its tools',
  [ACTIVITY.callMcpTool]: 'a call of an MCP tool',
};

/**
 * What an activity that is under way waits for, in words for a person; undefined when it simply
 * runs. Worded so that two looks at the same state read the same.
 *
 * @param details its heartbeat details, decoded
 */
export function describeWaiting(
  activity: Pending,
  details: unknown,
  nowMs: number,
): string | undefined {
  const subject = SUBJECTS[activity.activityType?.name ?? ''] ?? activity.activityType?.name ?? '';
  const attempt = activity.attempt ?? 1;
  const again =
    attempt > 1 && activity.lastFailure
      ? `${subject} is tried again (attempt ${attempt}): ${describeFailure(activity.lastFailure)}`
      : undefined;
  if (activity.state === PENDING_ACTIVITY_STATE_STARTED) {
    const reason = isRecord(details) ? details['waiting_for'] : undefined;
    return typeof reason === 'string' ? `${subject} waits for: ${reason}` : again;
  }
  if (again !== undefined || activity.state !== PENDING_ACTIVITY_STATE_SCHEDULED) return again;
  const waitedMs = nowMs - Number(activity.scheduledTime?.seconds ?? 0) * 1_000;
  return waitedMs > UNTAKEN_MS ? `${subject} waits for a worker: ${queueOf(activity)}` : undefined;
}

function queueOf({ activityOptions }: Pending): string {
  const queue = activityOptions?.taskQueue?.name;
  return queue ? `none takes it from task queue "${queue}"` : 'none takes it';
}
