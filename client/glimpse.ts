import proto, { type temporal } from '@temporalio/proto';
import { decodeFailure, decodePayload } from '../log/decode-history.ts';
import { isRecord } from '../log/read-payload.ts';
import type { ExecuteProgress } from '../protocol/hand.ts';
import { ACTIVITY, type RespondProgress } from '../protocol/model-step.ts';
import type { Requests } from './requests.ts';
import { describeWaiting } from './waiting.ts';

/** What one describe says about what a session is doing. */
export interface Glimpse {
  /** False once the session has ended. */
  readonly open: boolean;
  /** Of the running model step. */
  readonly progress: RespondProgress | undefined;
  /** Of the tool calls that run. */
  readonly calls: readonly ExecuteProgress[];
  /** What it waits for or tries again, in words; null when it does neither. */
  readonly waiting: string | null;
}

export type ReadGlimpse = (sessionId: string) => Promise<Glimpse>;

type Pending = temporal.api.workflow.v1.IPendingActivityInfo;

export function createGlimpseReader(requests: Requests): ReadGlimpse {
  return async (sessionId) => {
    const { pendingActivities, workflowExecutionInfo } = await requests.run(
      { type: 'session', id: sessionId },
      () =>
        requests.client.workflowService.describeWorkflowExecution({
          namespace: requests.namespace,
          execution: { workflowId: sessionId },
        }),
    );
    const pending = pendingActivities ?? [];
    const details = await Promise.all(
      pending.map(async (activity) => {
        const details = await readActivity(requests, sessionId, activity);
        return { activity, details };
      }),
    );
    const step = details.find(({ activity }) => isNamed(activity, ACTIVITY.respond));
    const running = details.filter(
      ({ activity }) =>
        isNamed(activity, ACTIVITY.execute) || isNamed(activity, ACTIVITY.callMcpTool),
    );
    const waiting = details.flatMap(
      ({ activity, details }) => describeWaiting(activity, details, Date.now()) ?? [],
    );
    return {
      open: workflowExecutionInfo?.status === RUNNING,
      progress: isStepProgress(step?.details) ? step.details : undefined,
      calls: running.flatMap(({ details }) => (isCallProgress(details) ? [details] : [])),
      waiting: waiting.length === 0 ? null : [...new Set(waiting)].join('; '),
    };
  };
}

const RUNNING =
  proto.temporal.api.enums.v1.WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING;
const STARTED = proto.temporal.api.enums.v1.PendingActivityState.PENDING_ACTIVITY_STATE_STARTED;

function isNamed(activity: Pending, name: string): boolean {
  return activity.activityType?.name === name;
}

function isStepProgress(details: unknown): details is RespondProgress {
  return isRecord(details) && 'event_id' in details && typeof details['text'] === 'string';
}

function isCallProgress(details: unknown): details is ExecuteProgress {
  return isRecord(details) && typeof details['call_id'] === 'string';
}

/**
 * Puts what codecs hid of its last failure in its place, and returns its heartbeat details. Between
 * two attempts these are those of the attempt that failed.
 */
async function readActivity(
  { client, namespace }: Requests,
  workflowId: string,
  activity: Pending,
): Promise<unknown> {
  const { payloadConverter, payloadCodecs } = client.options.loadedDataConverter;
  const context = { type: 'activity', namespace, workflowId, isLocal: false } as const;
  if (activity.lastFailure) await decodeFailure(activity.lastFailure, payloadCodecs, context);
  const payload = activity.heartbeatDetails?.payloads?.[0];
  if (activity.state !== STARTED || payload === undefined) return undefined;
  const decoded = await decodePayload(payload, payloadCodecs, context);
  return payloadConverter.fromPayload<unknown>(decoded);
}
