import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { runCommandLine } from '../../client/command-line/run-command-line.ts';
import { findTemporalBinary } from '../../launch/temporal-binary.ts';
import { calls, fromConversation, says } from '../../rehearsal/script.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

const player = fromConversation(({ messages }) =>
  JSON.stringify(messages.at(-1)).includes('tool_result')
    ? says('Done.')
    : says([calls('bash', { command: 'echo planted-command' })]),
);

let harness: Harness;
let url: string;
let ended: Promise<number>;
const interruption = new AbortController();

beforeEach(async () => {
  process.env['DROVER_PAYLOAD_KEYS'] = String(inject('payloadKeys'));
  harness = await startHarness({ player });
  let printed = '';
  const output = {
    write: (text: string) => {
      printed += text;
    },
  };
  const { signal } = interruption;
  const streams = { stdin: process.stdin, stdout: output, stderr: output, signal };
  ended = runCommandLine(['codec-server', '--port', '0'], 'drover', streams);
  url = await waitFor('the codec server', () => /http:\/\/127[\d.:]+/.exec(printed)?.[0]);
});

afterEach(async () => {
  delete process.env['DROVER_PAYLOAD_KEYS'];
  interruption.abort();
  expect(await ended).toBe(0);
  await harness.stop();
});

async function temporal(...args: string[]): Promise<string> {
  const { path } = await findTemporalBinary();
  const address = ['--address', inject('temporalAddress')];
  const { stdout } = await promisify(execFile)(path, [...args, ...address]);
  return stdout;
}

/** A history with the bytes of its payloads as text. */
function textOf(history: string): string {
  return history.replace(/"([\w+/]{8,}={0,2})"/g, (_, base64: string) =>
    Buffer.from(base64, 'base64').toString('latin1'),
  );
}

test('plain temporal reads and talks to an encrypted session through it', async () => {
  const handle = await harness.start({
    initial_events: ['a planted word'],
    title: 'planted title',
  });
  await harness.untilIdle(handle);
  const workflow = ['--workflow-id', handle.workflowId];
  const codec = ['--codec-endpoint', url];

  const show = ['workflow', 'show', ...workflow, '--output', 'json'];
  expect(textOf(await temporal(...show))).not.toContain('planted');
  const read = textOf(await temporal(...show, ...codec));
  expect(read).toContain('a planted word');
  expect(read).toContain('bash: echo planted-command');

  const query = ['workflow', 'query', ...workflow, ...codec, '--type', 'getSession'];
  expect(await temporal(...query)).toContain('planted title');

  const update = ['workflow', 'update', 'execute', ...workflow, ...codec, '--name', 'send'];
  await temporal(...update, '--input', '"said by temporal"');
  expect(textOf(await temporal(...show))).not.toContain('said by temporal');
  expect(JSON.stringify(await harness.log.read(handle.workflowId))).toContain('said by temporal');
  await expect(temporal(...update, '--input', '{"type":"nonsense"}')).rejects.toMatchObject({
    stderr: expect.stringMatching(/events\[0\]/),
  });
});
