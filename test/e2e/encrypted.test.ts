import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createKeyRingFile } from '../../codec/manage-key-ring.ts';
import { freePort } from '../../launch/free-port.ts';
import type { Player, RehearsalRequest, Turn } from '../../rehearsal/player.ts';
import { calls, fromConversation, says } from '../../rehearsal/script.ts';
import { type RehearsalServer, startRehearsalServer } from '../../rehearsal/server.ts';
import { type Launcher, serverOf, startLauncher } from '../support/launcher.ts';
import { filesOf, findFile, textOf } from '../support/places.ts';
import { giveBundle } from '../support/used-state.ts';
import { waitFor } from '../support/wait-for.ts';

// A word that the user says goes through everything that a session has: it is repeated by the model,
// by a failed request, a command, its output and its heartbeats. With a key ring none of that may be
// in what the server keeps. Without the ring the same search finds it (canary.test.ts).

const PLANTED = `planted-${process.pid}`;
const HOLD = `echo ${PLANTED}; until [ -e go ]; do sleep 0.1; done`;

let state: string;
let model: RehearsalServer;
let launcher: Launcher;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'drover-e2e-'));
  await giveBundle(state, 'encoded');
  await createKeyRingFile(join(state, 'keys.json'));
  const ports = { port: await freePort(0), uiPort: await freePort(0) };
  await writeFile(join(state, 'temporal.json'), JSON.stringify({ pid: 2 ** 30, ...ports }));
  model = await startRehearsalServer({ player: player() });
  launcher = startLauncher([`say ${PLANTED}`], {
    DROVER_STATE_FOLDER: state,
    DROVER_PAYLOAD_KEYS: join(state, 'keys.json'),
    ANTHROPIC_API_KEY: 'rehearsal',
    ANTHROPIC_BASE_URL: model.url,
  });
});

afterEach(async () => {
  launcher.child.kill('SIGINT');
  await launcher.exited;
  await model.close();
  await rm(state, { recursive: true, force: true });
});

function player(): Player {
  const script = fromConversation(decide);
  const error = { type: 'api_error', message: `cannot say ${PLANTED}` };
  const failed: Turn = { type: 'error', status: 500, body: { type: 'error', error } };
  return (request, context) => (context.index === 0 ? failed : script(request, context));
}

function decide({ messages }: RehearsalRequest): Turn {
  if (!JSON.stringify(messages).includes('tool_result')) {
    return says([calls('bash', { command: HOLD })]);
  }
  return says(`I said ${PLANTED}.`);
}

test('what is said in an encrypted session is nowhere in what the server keeps', async () => {
  const session = String((await launcher.until(/session (session-\S+)/))[1]);
  const { port } = await serverOf(state);
  const connection = await Connection.connect({ address: `127.0.0.1:${port}` });
  const { workflowService } = connection;
  const namespace = 'default';

  const described = await waitFor('the held call to beat', async () => {
    const execution = { workflowId: session };
    const answer = await workflowService.describeWorkflowExecution({ namespace, execution });
    const pending = answer.pendingActivities ?? [];
    return pending.some(({ heartbeatDetails }) => heartbeatDetails) && textOf(answer);
  });
  const forgetful = startLauncher(['--once'], { DROVER_STATE_FOLDER: state });
  expect(await forgetful.exited).toBe(1);
  expect(forgetful.output()).toMatch(/with the key ring .*keys\.json; start with the same/);
  await writeFile(join(findFile(state, 'workspace'), 'go'), '');
  await launcher.until(/idle: end_turn/);
  const history = textOf(
    await workflowService.getWorkflowExecutionHistory({
      namespace,
      execution: { workflowId: session },
    }),
  );
  const listed = textOf(await workflowService.listWorkflowExecutions({ namespace }));
  await connection.close();

  const places: Record<string, string> = { history, described, listed, ...filesOf(state) };
  const holding = Object.keys(places).filter((place) => places[place]?.includes(PLANTED));
  // Where it may be: in the sandbox, and in what the worker says of a failure on its own machine.
  const ofServer = holding.filter((place) => !/hands\/|^worker\.log$/.test(place));
  expect(ofServer).toEqual([]);
  expect(holding).toContainEqual(expect.stringMatching(/journal/));
  expect(launcher.output()).toContain(`I said ${PLANTED}.`);
  expect(launcher.output()).toMatch(/tried again: .*cannot say/);
  expect(places['temporal.db']).toContain(session);
  expect(places['temporal.db']).toContain('binary/encrypted');
});
