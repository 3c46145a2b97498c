import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { createHandActivities } from '../../activities/hands/activities.ts';
import { findHandFolder } from '../../activities/hands/local/hand-folder.ts';
import { getSession } from '../../protocol/messages.ts';
import { calls, says, scripted } from '../../rehearsal/script.ts';
import { useLocalHands } from '../hand/local-hands.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

const hands = useLocalHands();
let harness: Harness;
afterEach(() => harness.stop());

test('a workspace is kept while its session sleeps, and gone when the session has ended', async () => {
  harness = await startHarness({
    player: scripted([says([calls('bash', { command: 'echo kept > file' })]), says('Done.')]),
    hands: createHandActivities({ providers: { local: hands().provider } }),
  });
  const environment = { task_queue: harness.handsQueue, idle_release_seconds: 1 };
  const handle = await harness.start({ initial_events: ['go'], environment });
  await harness.untilIdle(handle);
  const { workflowId: session_id, firstExecutionRunId: chain_id } = handle;
  const folder = findHandFolder(hands().stateFolder, { session_id, chain_id, name: 'main' });
  await waitFor('its release', async () => {
    const session = await handle.query(getSession);
    return Object.keys(session.hands).length === 0;
  });
  expect(readFileSync(join(folder.workspace, 'file'), 'utf8')).toBe('kept\n');
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow();
  expect(existsSync(folder.root)).toBe(false);
});
