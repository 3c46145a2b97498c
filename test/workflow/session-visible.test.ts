import { decodeOptionalSinglePayload } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { afterEach, describe, expect, test } from 'vitest';
import { calls, says, scripted } from '../../rehearsal/script.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

/** What a person sees who opens a session in the Temporal Web UI. */
describe('a session in the Web UI', () => {
  let harness: Harness;
  afterEach(() => harness.stop());

  test('its details read as a conversation, its activities as what they do', async () => {
    harness = await startHarness({
      player: scripted([
        says([calls('bash', { command: 'npm test' }), calls('read', { file_path: 'a.ts' })]),
        says('All green.'),
      ]),
    });
    const handle = await harness.start({
      initial_events: ['Are the tests green?'],
      agent: { name: 'tester', tools: [{ type: 'agent_toolset_20260401' }] },
    });
    await harness.untilIdle(handle);
    const metadata = await handle.query<{ currentDetails?: string }>(
      '__temporal_workflow_metadata',
    );
    expect(metadata.currentDetails).toContain('**user:** Are the tests green?');
    expect(metadata.currentDetails).toContain('`bash` `npm test`');
    expect(metadata.currentDetails).toContain('**agent:** All green.');

    const { events } = await handle.fetchHistory();
    const { loadedDataConverter } = harness.client.options;
    const summaries = await Promise.all(
      (events ?? []).map(({ userMetadata }) =>
        decodeOptionalSinglePayload<string>(loadedDataConverter, userMetadata?.summary),
      ),
    );
    expect(summaries.filter((summary) => summary != null)).toEqual([
      'step 1',
      'provision main',
      'bash: npm test',
      'read: a.ts',
      'step 2',
      'release main when idle',
    ]);
  });

  test('it is found by status, stop reason and agent', async () => {
    const name = `agent-${crypto.randomUUID()}`;
    harness = await startHarness({ player: scripted([says('Hi.')]) });
    const handle = await harness.start({ initial_events: ['hi'], agent: { name } });
    await harness.untilIdle(handle);
    const query = `SessionStatus = "idle" AND SessionStopReason = "end_turn" AND SessionAgent = "${name}"`;
    await waitFor('the session in the list', async () => {
      for await (const found of harness.client.workflow.list({ query })) {
        if (found.workflowId === handle.workflowId) return true;
      }
      return false;
    });
  });

  test('details of a very long conversation → at most 20 kB', async () => {
    const long = '€'.repeat(30_000);
    harness = await startHarness({ player: scripted([says(long), says(long)]) });
    const handle = await harness.start({ initial_events: [long] });
    await harness.untilIdle(handle);
    const metadata = await handle.query<{ currentDetails?: string }>(
      '__temporal_workflow_metadata',
    );
    const bytes = Buffer.byteLength(metadata.currentDetails ?? '');
    expect(bytes).toBeGreaterThan(1_000);
    expect(bytes).toBeLessThanOrEqual(20_000);
  });
});
