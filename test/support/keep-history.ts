import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { WorkflowHandle } from '@temporalio/client';
import { expect, inject } from 'vitest';
import { findTemporalBinary } from '../../launch/temporal-binary.ts';
import { getSession } from '../../protocol/messages.ts';
import type { SessionResource } from '../../protocol/session.ts';
import type { Harness } from './harness.ts';
import { openKeptKeys } from './kept-keys.ts';
import { resealWithout } from './reseal.ts';
import { waitFor } from './wait-for.ts';

const FOLDER = fileURLToPath(new URL('../histories/', import.meta.url));
const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const VERSION = 'v1';

/**
 * Keeps the history of a real workflow, one file a run, for the replay suite. Add new ones beside
 * the old; an old one is what sessions in the field look like.
 */
export async function keepHistory(
  name: string,
  kept: {
    readonly harness: Pick<Harness, 'client'>;
    readonly handle: WorkflowHandle;
    readonly folder?: string;
  },
): Promise<void> {
  const { handle, folder = FOLDER } = kept;
  const { client } = kept.harness;
  await mkdir(folder, { recursive: true });
  const runs: string[] = [];
  for (let runId = (await handle.describe()).runId; runId !== ''; ) {
    runs.unshift(await show(handle.workflowId, runId));
    const { events } = await client.workflow.getHandle(handle.workflowId, runId).fetchHistory();
    runId = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId ?? '';
  }
  expect(runs.length).toBeGreaterThan(0);
  for (const [index, run] of runs.entries()) {
    await writeFile(`${folder}${name}.${VERSION}.run-${index}.json`, `${run}\n`);
  }
}

/** The history as `temporal workflow show --output json` prints it. */
async function show(workflowId: string, runId: string): Promise<string> {
  const { path } = await findTemporalBinary();
  const address = ['--address', inject('temporalAddress')];
  const execution = ['--workflow-id', workflowId, '--run-id', runId];
  const { stdout } = await promisify(execFile)(
    path,
    ['workflow', 'show', '--output', 'json', ...address, ...execution],
    { maxBuffer: 50_000_000 },
  );
  // Stack traces of failures name where the project lies on the machine that recorded them.
  const ring = await (await openKeptKeys()).current();
  const history = resealWithout(PROJECT, JSON.parse(stdout), ring);
  return JSON.stringify(history, null, 1).replaceAll(PROJECT, '');
}

export function untilStopped(handle: WorkflowHandle, reason: string): Promise<SessionResource> {
  return waitFor(`stop reason ${reason}`, async () => {
    const session = await handle.query(getSession);
    return session.stop_reason?.type === reason && session;
  });
}
