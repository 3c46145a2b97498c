import type { WorkflowService } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { createLogReader } from '../../log/log-reader.ts';
import { createStepReader, type StepAddress } from '../../log/step-reader.ts';
import { ACTIVITY } from '../../protocol/model-step.ts';
import { timed } from '../measure.ts';
import type { World } from '../world/world.ts';

const NAMESPACE = 'default';

/** Milliseconds of whole reads of one session, taken in turn. */
export interface ColdReads {
  readonly events: number;
  readonly bytes: number;
  readonly runs: number;
  /** A worker that has read nothing yet prepares a model step. */
  readonly step: number[];
  /** A client that has read nothing yet reads the log. */
  readonly log: number[];
  /** Pages of all runs side by side, received and dropped, as the worker and as the client read. */
  readonly bareStep: number[];
  readonly bareLog: number[];
}

export async function measureColdReads(
  world: World,
  sessionId: string,
  repeats: number,
): Promise<ColdReads> {
  const native = await NativeConnection.connect({ address: world.address });
  try {
    const { runIds, lastStep, events, bytes } = await inspect(world, sessionId);
    const reads: ColdReads = {
      ...{ events, bytes, runs: runIds.length },
      ...{ step: [], log: [], bareStep: [], bareLog: [] },
    };
    const services = { step: native.workflowService, log: world.connection.workflowService };
    for (let index = 0; index <= repeats; index += 1) {
      const bareStep = await timed(() => readBare(services.step, sessionId, runIds));
      const step = await timed(() =>
        createStepReader({ service: services.step, namespace: NAMESPACE }).readStep(lastStep),
      );
      const bareLog = await timed(() => readBare(services.log, sessionId, runIds));
      const log = await timed(() =>
        createLogReader({ service: services.log, namespace: NAMESPACE }).read(sessionId),
      );
      // The first time is the machine's, not ours: nothing is compiled yet.
      if (index === 0) continue;
      reads.bareStep.push(bareStep.ms);
      reads.step.push(step.ms);
      reads.bareLog.push(bareLog.ms);
      reads.log.push(log.ms);
    }
    return reads;
  } finally {
    await native.close();
  }
}

interface Inspected {
  readonly runIds: readonly string[];
  readonly lastStep: StepAddress;
  readonly events: number;
  readonly bytes: number;
}

async function inspect({ client }: World, workflowId: string): Promise<Inspected> {
  const runIds: string[] = [];
  let lastStep: StepAddress | undefined;
  let events = 0;
  let bytes = 0;
  let runId: string | undefined;
  do {
    const handle = client.workflow.getHandle(workflowId, runId);
    const description = await handle.describe();
    const history = (await handle.fetchHistory()).events ?? [];
    const scheduled = history.findLast(
      (event) =>
        event.activityTaskScheduledEventAttributes?.activityType?.name === ACTIVITY.respond,
    );
    const activityId = scheduled?.activityTaskScheduledEventAttributes?.activityId;
    if (activityId) lastStep ??= { workflowId, runId: description.runId, activityId };
    runIds.unshift(description.runId);
    events += history.length;
    bytes += description.historySize ?? 0;
    const started = history[0]?.workflowExecutionStartedEventAttributes;
    runId = started?.continuedExecutionRunId || undefined;
  } while (runId !== undefined);
  if (lastStep === undefined) throw new Error(`session ${workflowId} has no model step`);
  return { runIds, lastStep, events, bytes };
}

async function readBare(
  service: WorkflowService,
  workflowId: string,
  runIds: readonly string[],
): Promise<void> {
  await Promise.all(
    runIds.map(async (runId) => {
      let token: Uint8Array | null | undefined;
      do {
        const page = await service.getWorkflowExecutionHistory({
          namespace: NAMESPACE,
          execution: { workflowId, runId },
          ...(token ? { nextPageToken: token } : {}),
        });
        token = page.nextPageToken;
      } while (token && token.length > 0);
    }),
  );
}
