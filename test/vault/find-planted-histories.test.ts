import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { temporal } from '@temporalio/proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SEARCH_ATTRIBUTES } from '../../protocol/search-attributes.ts';
import { type DevServer, startDevServer } from '../support/dev-server.ts';
import { createCanaries } from './search/canaries.ts';
import { folderPlaces } from './search/folder-places.ts';
import { type Hit, searchPlaces } from './search/search-places.ts';
import { temporalPlaces } from './search/temporal-places.ts';

// One workflow with a canary of its own in every place that the server keeps anything in, made by the
// server's own calls: no worker is needed to plant, and none to find.

const { CommandType } = temporal.api.enums.v1;
const namespace = 'default';
const taskQueue = { name: 'planted' };
const POLL_MS = 10_000;
const canaries = createCanaries();

let folder: string;
let server: DevServer;
let connection: Connection;
let hits: Hit[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'drover-planted-'));
  server = await startDevServer([], folder);
  connection = await Connection.connect({ address: server.address });
  await start();
  await failActivity();
  await rollOver();
  const places = [
    ...(await Array.fromAsync(temporalPlaces(connection))),
    ...folderPlaces(folder, ''),
  ];
  hits = await searchPlaces(canaries, places);
});

afterAll(async () => {
  await connection.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});

test.each([
  ['an input', 'history', 'input'],
  ['a signal', 'history', 'signal'],
  ['the input of an activity', 'history', 'activity'],
  ['a header', 'history', 'header'],
  ['the input of a later run', 'history', 'later'],
  ['a memo', 'description', 'memo'],
  ['a search attribute', 'description', 'attribute'],
  ['the details of a heartbeat', 'description', 'heartbeat'],
  ['the failure of an attempt', 'description', 'failure'],
  ['a payload beyond the page of a database', 'values of temporal.db', 'long'],
])('finds what is planted in %s', (_, place, canary) => {
  expect(hits).toContainEqual(
    expect.objectContaining({ place: expect.stringContaining(place), canary }),
  );
});

test('finds in the database what is planted in histories', () => {
  const inDatabase = hits.filter(({ place }) => place === 'values of temporal.db');
  expect(inDatabase.map(({ canary }) => canary)).toEqual(
    expect.arrayContaining(['input', 'signal', 'activity', 'heartbeat', 'failure', 'later']),
  );
});

function payloads(name: string, before = ''): temporal.api.common.v1.IPayloads {
  return { payloads: [payload(before + canaries.make(name))] };
}

function payload(value: unknown): temporal.api.common.v1.IPayload {
  return {
    metadata: { encoding: Buffer.from('json/plain') },
    data: Buffer.from(JSON.stringify(value)),
  };
}

async function start(): Promise<void> {
  const attribute = SEARCH_ATTRIBUTES.status.name;
  await connection.workflowService.signalWithStartWorkflowExecution({
    namespace,
    workflowId: 'planted',
    workflowType: { name: 'session' },
    taskQueue,
    requestId: 'planted',
    input: payloads('input'),
    signalName: 'send',
    signalInput: payloads('signal'),
    header: { fields: { header: payload(canaries.make('header')) } },
    memo: { fields: { memo: payload(canaries.make('memo')) } },
    searchAttributes: {
      indexedFields: {
        [attribute]: {
          ...payload(canaries.make('attribute')),
          metadata: { encoding: Buffer.from('json/plain'), type: Buffer.from('Keyword') },
        },
      },
    },
  });
}

/** An activity that has beaten and failed once, and waits for its next attempt. */
async function failActivity(): Promise<void> {
  const { workflowService } = connection;
  await decide({
    commandType: CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
    scheduleActivityTaskCommandAttributes: {
      activityId: '1',
      activityType: { name: 'execute' },
      taskQueue,
      input: payloads('activity'),
      startToCloseTimeout: msToTs('60 seconds'),
      retryPolicy: { initialInterval: msToTs('600 seconds') },
    },
  });
  const poll = () => workflowService.pollActivityTaskQueue({ namespace, taskQueue });
  const { taskToken } = await connection.withDeadline(Date.now() + POLL_MS, poll);
  const details = payloads('heartbeat');
  await workflowService.recordActivityTaskHeartbeat({ namespace, taskToken, details });
  const message = `401 for ${canaries.make('failure')}`;
  await workflowService.respondActivityTaskFailed({
    namespace,
    taskToken,
    failure: { message, applicationFailureInfo: { type: 'Some' } },
    lastHeartbeatDetails: details,
  });
}

/** Another workflow, whose first run has been left. */
async function rollOver(): Promise<void> {
  await connection.workflowService.startWorkflowExecution({
    namespace,
    workflowId: 'rolled-over',
    workflowType: { name: 'session' },
    taskQueue,
    requestId: 'rolled-over',
    input: payloads('long', 'x'.repeat(9_000)),
  });
  await decide({
    commandType: CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
    continueAsNewWorkflowExecutionCommandAttributes: {
      workflowType: { name: 'session' },
      taskQueue,
      input: payloads('later'),
    },
  });
}

async function decide(command: temporal.api.command.v1.ICommand): Promise<void> {
  const { workflowService } = connection;
  const poll = () => workflowService.pollWorkflowTaskQueue({ namespace, taskQueue });
  const { taskToken } = await connection.withDeadline(Date.now() + POLL_MS, poll);
  await workflowService.respondWorkflowTaskCompleted({ namespace, taskToken, commands: [command] });
}
