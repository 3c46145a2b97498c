import type { WorkflowHandle } from '@temporalio/client';
import { afterEach, describe, expect, test } from 'vitest';
import { getSession, send, upgrade } from '../../protocol/messages.ts';
import { calls, fromConversation, says } from '../../rehearsal/script.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

/** More than the suite's roll-over threshold of 120 events, at about 15 a step. */
const STEPS = 20;

describe('a roll-over', () => {
  let harness: Harness;
  afterEach(() => harness.stop());

  /** One tool call a step, `STEPS` times after the newest user text, then an answer. */
  function countingPlayer() {
    return fromConversation((request) => {
      const texts = request.messages.findLastIndex(
        ({ role, content }) => role === 'user' && JSON.stringify(content).includes('"text":"go'),
      );
      const done = request.messages.slice(texts).filter(({ role }) => role === 'assistant').length;
      if (done >= STEPS) return says('All done.');
      return says([calls('bash', { command: `step ${done}` })]);
    });
  }

  function runIdOf(handle: WorkflowHandle): Promise<string> {
    return handle.describe().then(({ runId }) => runId);
  }

  test('in the middle of a turn → the model sees the whole conversation, the log is one', async () => {
    harness = await startHarness({ player: countingPlayer() });
    const handle = await harness.start({ initial_events: ['go'] });
    const firstRun = await runIdOf(handle);
    const session = await waitFor('the end', async () => {
      const now = await handle.query(getSession);
      return now.status === 'idle' && now;
    });
    expect(await runIdOf(handle)).not.toBe(firstRun);
    const events = await harness.log.read(handle.workflowId);
    expect(events.filter(({ type }) => type === 'agent.tool_result')).toHaveLength(STEPS);
    expect(events.filter(({ type }) => type === 'session.status_running')).toHaveLength(1);
    expect(harness.model.requests.at(-1)?.body.messages).toHaveLength(2 * STEPS + 1);
    expect(new Set(events.map(({ id, type }) => `${type} ${id}`)).size).toBe(events.length);
    expect(await harness.log.session(handle.workflowId)).toEqual(session);
    const ended = await handle.fetchHistory();
    expect(
      JSON.stringify(ended.events?.[0]?.workflowExecutionStartedEventAttributes?.input).length,
    ).toBeLessThan(20_000);
  });

  test('the same update id in a later run → one event, the same answer', async () => {
    harness = await startHarness({ player: countingPlayer() });
    const handle = await harness.start();
    await harness.untilIdle(handle);
    const first = await handle.executeUpdate(send, { args: ['go'], updateId: 'once' });
    const firstRun = await runIdOf(handle);
    await waitFor('another run', async () => (await runIdOf(handle)) !== firstRun);
    await harness.untilIdle(handle);
    const again = await handle.executeUpdate(send, { args: ['go'], updateId: 'once' });
    expect(again).toEqual(first);
    const events = await harness.log.read(handle.workflowId);
    expect(events.filter(({ id }) => id === 'sevt_once_0')).toHaveLength(1);
    expect(harness.model.requests).toHaveLength(STEPS + 1);
  });

  test('upgrade → an idle session rolls over, keeps its hands and goes on', async () => {
    harness = await startHarness({ player: countingPlayer() });
    const handle = await harness.start({ initial_events: ['go'] });
    await harness.untilIdle(handle);
    const before = await handle.query(getSession);
    const firstRun = await runIdOf(handle);
    await handle.signal(upgrade);
    await waitFor('another run', async () => (await runIdOf(handle)) !== firstRun);
    expect(await handle.query(getSession)).toEqual(before);
    expect(await harness.log.session(handle.workflowId)).toEqual(before);
    await handle.executeUpdate(send, { args: ['go again'] });
    await waitFor('the second turn', () => harness.model.requests.length === 2 * (STEPS + 1));
  });

  test('more interrupts than a run takes updates → rolls over in time, none is refused', async () => {
    harness = await startHarness({ player: countingPlayer() });
    const handle = await harness.start();
    await harness.untilIdle(handle);
    const firstRun = await runIdOf(handle);
    const interrupt = { type: 'user.interrupt' as const };
    for (let sent = 0; sent < 2_100; sent += 10) {
      const ten = Array.from({ length: 10 }, () =>
        handle.executeUpdate(send, { args: [interrupt] }),
      );
      await Promise.all(ten);
    }
    expect(await runIdOf(handle)).not.toBe(firstRun);
  }, 60_000);
});
