import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { naiveLoop } from './workflows.ts';

export interface NaiveMessage {
  readonly role: 'user' | 'assistant';
  readonly content: readonly { readonly type: string }[];
}

export interface NaiveCall {
  readonly type: 'tool_use';
  readonly id: string;
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

export interface NaiveAnswer {
  readonly content: readonly { readonly type: string }[];
  readonly calls: readonly NaiveCall[];
  /** The model speaks again without new input: it has results to read, or more to say. */
  readonly goes_on: boolean;
}

export interface NaiveActivities {
  respond(messages: readonly NaiveMessage[]): Promise<NaiveAnswer>;
  execute(call: NaiveCall): Promise<{ readonly type: 'tool_result' }>;
  /** User messages that open turn `index`; null when there are no more. */
  nextInput(index: number): Promise<readonly string[] | null>;
}

export interface NaiveEnd {
  /** Model steps that ran before the workflow ended. */
  readonly steps: number;
  readonly bytes: number;
  readonly events: number;
  /** `COMPLETED` when it got through. */
  readonly status: string;
  /** The server's words when it ended the workflow. */
  readonly reason: string | null;
}

const WORKFLOWS = fileURLToPath(new URL('./workflows.ts', import.meta.url));

/** Runs the naive loop until it ends, or the server ends it. */
export async function runNaiveLoop(
  target: { readonly address: string; readonly client: Client },
  activities: NaiveActivities,
): Promise<NaiveEnd> {
  let steps = 0;
  const taskQueue = `naive-${randomUUID()}`;
  const connection = await NativeConnection.connect({ address: target.address });
  try {
    const worker = await Worker.create({
      connection,
      taskQueue,
      workflowsPath: WORKFLOWS,
      activities: {
        ...activities,
        respond: (messages: readonly NaiveMessage[]) => {
          steps += 1;
          return activities.respond(messages);
        },
      },
    });
    return await worker.runUntil(async () => {
      const handle = await target.client.workflow.start(naiveLoop, {
        taskQueue,
        workflowId: taskQueue,
      });
      await handle.result().catch(() => {}); // how it ended is asked below
      const { status, historySize = 0, historyLength } = await handle.describe();
      const reason = await terminationReason(target.client, taskQueue);
      return { steps, bytes: historySize, events: historyLength, status: status.name, reason };
    });
  } finally {
    await connection.close();
  }
}

async function terminationReason(client: Client, workflowId: string): Promise<string | null> {
  const { history } = await client.workflowService.getWorkflowExecutionHistoryReverse({
    namespace: client.options.namespace,
    execution: { workflowId },
    maximumPageSize: 1,
  });
  return history?.events?.[0]?.workflowExecutionTerminatedEventAttributes?.reason ?? null;
}
