/**
 * Records the golden histories of the log from a real server, with the log that they had then:
 *
 *     TEMPORAL_ADDRESS=127.0.0.1:7233 node test/support/record-log-histories.ts
 *
 * A golden history is a promise to sessions that exist: record anew only to add, never because a
 * test fails.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { EventType } from '../../log/history-event.ts';
import { createLogReader } from '../../log/index.ts';
import { createLogWorld, type LogWorld } from './log-worker.ts';
import { waitFor } from './wait-for.ts';
import { waitForIdle } from './wait-for-idle.ts';

const address = process.env['TEMPORAL_ADDRESS'] ?? '127.0.0.1:7233';
const world = await createLogWorld(address);
const reader = createLogReader(world.deps);

await record('every-row', playEveryRow);
await record('reset', playReset);
await world.close();

async function playEveryRow(sessionId: string): Promise<void> {
  const agent = { type: 'agent', id: 'keeper' };
  const input = { initial_events: ['bash ls', 'end of input'], agent, title: 'Every row' };
  await world.start({ ...input, metadata: { steps_per_run: '12' } }, sessionId);
  const handle = world.client.workflow.getHandle(sessionId);
  const say = async (text: string, messages: number) => {
    await world.send(sessionId, text);
    await waitForIdle(reader, sessionId, messages);
  };
  await waitForIdle(reader, sessionId, 2);
  await say('pair ls', 3);
  await say('retry please', 4);
  await say('break', 5);
  await say('bash crash', 6);
  await say('bash stall', 7);
  await say('bash lose', 8);
  await say('refuse', 9);
  await handle.signal('send', { type: 'user.shout' });
  for (const [text, answerTo, messages] of [
    ['ask rm', 'confirmation', 10],
    ['ask ls', 'denial', 11],
    ['custom', 'result', 12],
  ] as const) {
    await world.send(sessionId, text);
    const session = await waitFor(`${text} to wait`, async () => {
      const resource = await reader.session(sessionId);
      return resource.stop_reason?.type === 'requires_action' ? resource : undefined;
    });
    const [id = ''] = session.pending_actions;
    await world.send(sessionId, [answerOf(answerTo, id)], `answer-${answerTo}`);
    await waitForIdle(reader, sessionId, messages);
  }
  await world.send(sessionId, ['bye', { type: 'user.interrupt' }, 'end'], 'last-words');
  await handle.result();
}

function answerOf(kind: 'confirmation' | 'denial' | 'result', id: string) {
  if (kind === 'result') {
    return { type: 'user.custom_tool_result', custom_tool_use_id: id, content: 'found' };
  }
  return {
    type: 'user.tool_confirmation',
    tool_use_id: id,
    result: kind === 'confirmation' ? 'allow' : 'deny',
  };
}

async function playReset(sessionId: string): Promise<void> {
  const handle = await world.start({ initial_events: ['bash ls'] }, sessionId);
  await waitForIdle(reader, sessionId, 1);
  await world.send(sessionId, 'two', 'update-two');
  await handle.signal('send', 'three');
  await waitForIdle(reader, sessionId, 3);
  const history = await world.history(sessionId);
  const [, , finish] = history.filter(
    (event) => event.eventType === EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
  );
  if (finish === undefined) throw new Error('the session has no third workflow task');
  await world.reset(sessionId, handle.firstExecutionRunId, finish);
  await waitForIdle(reader, sessionId, 3);
  await world.send(sessionId, 'end', 'update-end');
  await waitFor('the end', async () => {
    return (await reader.session(sessionId)).status === 'terminated';
  });
}

async function record(
  name: string,
  play: (sessionId: string, world: LogWorld) => Promise<void>,
): Promise<void> {
  const sessionId = `golden-${name}-${Date.now()}`;
  await play(sessionId, world);
  const runs: unknown[] = [];
  for (let runId: string | undefined = ''; runId !== undefined; ) {
    const history = showHistory(sessionId, runId);
    runs.unshift(history);
    const [started] = history.events;
    runId = started?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId || undefined;
  }
  const golden = {
    runs,
    log: await reader.read(sessionId),
    session: { ...(await reader.session(sessionId)), id: name },
  };
  const file = new URL(`../histories/log/${name}.json`, import.meta.url);
  writeFileSync(file, `${JSON.stringify(golden, scrub, 1)}\n`);
}

interface ShownHistory {
  readonly events: readonly {
    readonly workflowExecutionStartedEventAttributes?: {
      readonly continuedExecutionRunId?: string;
    };
  }[];
}

function showHistory(sessionId: string, runId: string): ShownHistory {
  const run = runId === '' ? [] : ['--run-id', runId];
  const shown = execFileSync(
    'temporal',
    ['workflow', 'show', '--address', address, '-w', sessionId, ...run, '--output', 'json'],
    { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  return JSON.parse(shown);
}

/** Nothing of the machine that recorded stays. */
function scrub(key: string, value: unknown): unknown {
  if (key === 'stackTrace') return '';
  if (key === 'identity') return 'recorded';
  return typeof value === 'string' ? value.replaceAll(/\d+@[\w.-]+/g, 'recorded') : value;
}
