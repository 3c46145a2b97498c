import proto, { type temporal } from '@temporalio/proto';
import { ACTIVITY, type RespondProgress } from '../protocol/model-step.ts';
import type { Requests } from './requests.ts';

/** What one describe says about a session's running model step. */
export interface Glimpse {
  /** False once the session has ended. */
  readonly open: boolean;
  readonly progress: RespondProgress | undefined;
}

export type ReadGlimpse = (sessionId: string) => Promise<Glimpse>;

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
    const open = workflowExecutionInfo?.status === RUNNING;
    const step = pendingActivities?.find(isRunningStep);
    const payload = step?.heartbeatDetails?.payloads?.[0];
    if (payload === undefined) return { open, progress: undefined };
    return { open, progress: await decode(requests, payload) };
  };
}

const RUNNING =
  proto.temporal.api.enums.v1.WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING;
const STARTED = proto.temporal.api.enums.v1.PendingActivityState.PENDING_ACTIVITY_STATE_STARTED;

/** Between two attempts the details are those of the attempt that failed. */
function isRunningStep(activity: temporal.api.workflow.v1.IPendingActivityInfo): boolean {
  return activity.activityType?.name === ACTIVITY.respond && activity.state === STARTED;
}

async function decode(
  { client }: Requests,
  payload: temporal.api.common.v1.IPayload,
): Promise<RespondProgress> {
  const { payloadConverter, payloadCodecs } = client.options.loadedDataConverter;
  let payloads = [payload];
  for (const codec of payloadCodecs.toReversed()) payloads = await codec.decode(payloads);
  return payloadConverter.fromPayload<RespondProgress>(payloads[0] ?? {});
}
