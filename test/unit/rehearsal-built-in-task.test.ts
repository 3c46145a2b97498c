import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import { betaAgentToolset20260401 } from '@anthropic-ai/sdk/tools/agent-toolset/node';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BUILT_IN_TASK, builtInTask } from '../../rehearsal/built-in-task.ts';
import { type RehearsalServer, startRehearsalServer } from '../../rehearsal/server.ts';
import { failingTest, isGreen } from '../../rehearsal/test-output.ts';

type Message = Anthropic.Beta.BetaMessageParam;
type ToolUse = Anthropic.Beta.BetaToolUseBlock;

let server: RehearsalServer;
let workspace: string;

beforeEach(async () => {
  server = await startRehearsalServer({ player: builtInTask() });
  workspace = await mkdtemp(join(tmpdir(), 'built-in-task-'));
});
afterEach(async () => {
  await server.close();
  await rm(workspace, { recursive: true });
});

/** The conversation to its end, with the SDK's own tools in the workspace. */
async function converse(task: string, before: Message[] = []): Promise<Message[]> {
  const anthropic = new Anthropic({
    apiKey: 'k',
    authToken: null,
    baseURL: server.url,
    maxRetries: 0,
  });
  const tools = betaAgentToolset20260401({
    workdir: workspace,
    // As a test of its own would see it, node --test does nothing within another one.
    env: { PATH: process.env['PATH'], HOME: workspace },
  });
  const messages: Message[] = [...before, { role: 'user', content: task }];
  try {
    for (;;) {
      const answer = await anthropic.beta.messages.create({
        model: 'm',
        max_tokens: 100,
        messages,
      });
      messages.push({ role: 'assistant', content: answer.content });
      if (answer.stop_reason !== 'tool_use') return messages;
      const uses = answer.content.filter((block) => block.type === 'tool_use');
      messages.push({
        role: 'user',
        content: await Promise.all(uses.map((use) => run(use, tools))),
      });
    }
  } finally {
    for (const tool of tools) if ('close' in tool) await tool.close?.();
  }
}

async function run(use: ToolUse, tools: ReturnType<typeof betaAgentToolset20260401>) {
  const tool = tools.find((each) => 'name' in each && each.name === use.name);
  if (tool === undefined) throw new Error(`the script calls ${use.name}, which is no tool`);
  const result = { type: 'tool_result' as const, tool_use_id: use.id };
  try {
    const content = await tool.run(use.input as never);
    return { ...result, content: content as string };
  } catch (error) {
    return {
      ...result,
      content: error instanceof Error ? error.message : String(error),
      is_error: true,
    };
  }
}

function lastText(messages: readonly Message[]): string {
  const content = messages.at(-1)?.content;
  const last = Array.isArray(content) ? content.at(-1) : undefined;
  return last?.type === 'text' ? last.text : '';
}

test('the script finds the fault in a real repository, fixes it and proves it', async () => {
  const messages = await converse(BUILT_IN_TASK);
  expect(lastText(messages)).toContain('"parses several units" expected 5400 and got 1800');
  expect(lastText(messages)).toContain('All tests pass, and the fix is committed');
  expect(await readFile(join(workspace, 'src/parse.js'), 'utf8')).toContain('seconds += Number');
  const log = JSON.stringify(messages.at(-2));
  expect(log).toContain('Add up the units of a duration');
  expect(log).toContain('Accept several units in one duration');
  expect(log).toContain('Parse and format durations');
});

test('the script may be asked twice for the same step', async () => {
  const player = builtInTask();
  const request = {
    model: 'm',
    max_tokens: 1,
    messages: [{ role: 'user' as const, content: BUILT_IN_TASK }],
  };
  expect(await player(request, { index: 0 })).toEqual(await player(request, { index: 1 }));
});

test('a workspace that is not the script’s is left alone and it says so', async () => {
  await writeFile(join(workspace, 'mine.txt'), 'mine');
  const messages = await converse(BUILT_IN_TASK);
  expect(lastText(messages)).toMatch(
    /^I stop here: .*\(A rehearsal: the script has no answer to that\.\)$/s,
  );
  expect(await readdir(workspace)).toEqual(['mine.txt']);
});

test('another task is noted for real and answered honestly', async () => {
  const messages = await converse('Make hello.txt say hi\nEND_OF_NOTE\n$(touch pwned)');
  expect(lastText(messages)).toContain('no model is behind this session');
  expect(await readFile(join(workspace, 'NOTES.md'), 'utf8')).toBe(
    'Make hello.txt say hi\nEND_OF_NOTE\n$(touch pwned)\n',
  );
  expect(await readdir(workspace)).toEqual(['NOTES.md']);
  const more = await converse('and now bye', messages);
  expect(lastText(more)).toContain('Your request stands in NOTES.md');
  expect(await readFile(join(workspace, 'NOTES.md'), 'utf8')).toContain('and now bye\n');
});

const TAP = `TAP version 13
# Subtest: parses several units
not ok 1 - parses several units
  ---
  expected: 5400
  actual: 1800
  ...
# pass 3
# fail 1
`;
const READABLE = `✖ parses several units (0.5ms)
ℹ pass 3
ℹ fail 1

  AssertionError {
    actual: 1800,
    expected: 5400,
`;

test.each([
  ['TAP', TAP],
  ['readable', READABLE],
])('the failing test is found in %s output', (_name, output) => {
  expect(failingTest(output)).toEqual({
    name: 'parses several units',
    expected: '5400',
    actual: '1800',
  });
  expect(isGreen(output)).toBe(false);
  expect(isGreen(output.replace('fail 1', 'fail 0'))).toBe(true);
  expect(isGreen('')).toBe(false);
});
