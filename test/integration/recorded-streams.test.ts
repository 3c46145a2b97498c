import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toBlocks } from '../../activities/model/event-block.ts';
import { buildRequest } from '../../activities/model/request.ts';
import { AgentDefinition, type AgentInput } from '../../protocol/agent.ts';
import { FAILURE } from '../../protocol/failure.ts';
import { HAND_TOOLS } from '../../protocol/hand-tools.ts';
import type { RespondResult } from '../../protocol/model-step.ts';
import type { Turn } from '../../rehearsal/player.ts';
import { type RehearsalServer, startRehearsalServer } from '../../rehearsal/server.ts';
import { runStep, writeLog } from '../support/model-step.ts';
import {
  type Json,
  type RecordedResponse,
  recordedFiles,
  recordedResponses,
} from '../support/recorded-responses.ts';
import { toSpeaker } from '../support/to-speaker.ts';

const fixtures = process.env['DROVER_FIXTURES'];
const folder = join(fixtures ?? '.', 'messages');

const FAILURES: Readonly<Record<number, string>> = {
  400: FAILURE.modelInvalidRequest,
  401: FAILURE.modelAuthentication,
  404: FAILURE.modelNotFound,
};

describe.skipIf(fixtures === undefined)(
  'recorded responses of the Messages API (skipped without DROVER_FIXTURES)',
  () => {
    const files = fixtures === undefined ? [] : recordedFiles(folder);
    const seen = { stream: 0, message: 0, error: 0, count: 0 };
    let turn: Turn | undefined;
    let server: RehearsalServer;

    beforeAll(async () => {
      server = await startRehearsalServer({
        player: () => {
          if (turn === undefined) throw new Error('no turn is set');
          return turn;
        },
      });
    });
    afterAll(async () => {
      await server.close();
      const total = seen.stream + seen.message + seen.error + seen.count;
      console.log(`${files.length} files, ${total} responses: ${JSON.stringify(seen)}`);
    });

    test('there are 67 files', () => {
      expect(files).toHaveLength(67);
    });

    test.each(files)('%s', async (file) => {
      const responses = recordedResponses(folder, file);
      expect(responses.length).toBeGreaterThan(0);
      for (const response of responses) {
        seen[response.kind] += 1;
        turn = toTurn(response);
        if (response.kind === 'error') await expectFailure(response);
        else if (response.kind !== 'count') await expectNothingLost(response);
      }
    });

    async function expectFailure(response: Extract<RecordedResponse, { kind: 'error' }>) {
      const failure: unknown = await runStep({ url: server.url }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ApplicationFailure);
      expect(failure).toMatchObject({ type: FAILURES[response.status], nonRetryable: true });
      const { error } = response.body as { error: { message: string } };
      expect((failure as ApplicationFailure).message).toContain(error.message);
    }

    async function expectNothingLost(
      response: Extract<RecordedResponse, { kind: 'stream' | 'message' }>,
    ) {
      const said = await saidByApi(response);
      const agent = agentFor(said.content);
      const result = await runStep({ url: server.url, agent });
      // The log keeps every block, byte by byte; JSON is what history stores.
      const stored = JSON.parse(JSON.stringify(result)) as RespondResult;
      const blocks = stored.events.flatMap(toBlocks) as unknown as Json[];
      expect(blocks.map(asText)).toEqual(said.content.map(asText));
      if (response.kind === 'stream') expectOrderOfKeys(response.sse, blocks);
      else expect(JSON.stringify(blocks)).toBe(JSON.stringify(said.content));
      expectEnd(stored, said);
      expectRequest(stored, blocks, agent);
    }

    /** An independent reading: the SDK's own accumulation, or the recorded message itself. */
    async function saidByApi(
      response: Extract<RecordedResponse, { kind: 'stream' | 'message' }>,
    ): Promise<Json & { content: Json[] }> {
      if (response.kind === 'message') return response.message;
      const anthropic = new Anthropic({ apiKey: 'k', authToken: null, baseURL: server.url });
      const message = await anthropic.beta.messages
        .stream({ model: 'm', max_tokens: 1, messages: [{ role: 'user', content: 'hello' }] })
        .finalMessage();
      const said = JSON.parse(JSON.stringify(message)) as Json & { content: Json[] };
      expectStreamedInputs(response.sse, said.content);
      return said;
    }
  },
);

function toTurn(response: RecordedResponse): Turn | undefined {
  switch (response.kind) {
    case 'stream':
      return { type: 'sse', text: response.sse };
    case 'message': {
      const { content, stop_reason, ...message } = response.message;
      return {
        type: 'message',
        content: content as never,
        message: { ...message, stop_reason },
        deltaCharacters: 7,
      };
    }
    case 'error':
      return {
        type: 'error',
        status: response.status,
        headers: response.headers,
        body: response.body,
      };
    case 'count':
      return undefined;
  }
}

/** Tools of the names that the answer calls, so that none of them is unknown. */
function agentFor(content: readonly Json[]): AgentInput {
  const names = new Set(
    content.flatMap((block) => (block['type'] === 'tool_use' ? [String(block['name'])] : [])),
  );
  const custom = [...names].filter((name) => !HAND_TOOLS.some((tool) => tool === name));
  return {
    tools: [
      { type: 'agent_toolset_20260401' },
      ...custom.map((name) => ({
        type: 'custom' as const,
        name,
        description: name,
        input_schema: { type: 'object' as const },
      })),
    ],
  };
}

/** What the wire said, read without any parser of streams: joined, it is the input's JSON. */
function expectStreamedInputs(sse: string, content: readonly Json[]) {
  const texts = new Map<number, string>();
  for (const [, data] of sse.matchAll(/^data: (.*)$/gm)) {
    const event = JSON.parse(data ?? '') as { index: number; delta?: { partial_json?: string } };
    const part = event.delta?.partial_json;
    if (part !== undefined) texts.set(event.index, (texts.get(event.index) ?? '') + part);
  }
  for (const [index, text] of texts) {
    if (text === '') continue;
    expect(JSON.stringify(content[index]?.['input'])).toBe(JSON.stringify(JSON.parse(text)));
  }
}

/** JSON of a block, byte by byte, but for the order of its own keys, which the SDK changes. */
function asText(block: Json): string {
  return JSON.stringify(Object.fromEntries(Object.entries(block).sort()));
}

/** The SDK moves a streamed input to the end; we keep the order in which the API opened the block. */
function expectOrderOfKeys(sse: string, blocks: readonly Json[]) {
  for (const [, data] of sse.matchAll(/^data: (.*)$/gm)) {
    const event = JSON.parse(data ?? '') as { index: number; content_block?: Json };
    if (event.content_block === undefined) continue;
    const opened = Object.keys(event.content_block);
    expect(Object.keys(blocks[event.index] ?? {}).slice(0, opened.length)).toEqual(opened);
  }
}

function expectEnd(result: RespondResult, said: Json) {
  const end = result.events.at(-1);
  if (end?.type !== 'span.model_request_end') throw new Error('the events are not closed');
  const usage = said['usage'] as Readonly<Record<string, unknown>>;
  expect(end.stop_reason).toBe(said['stop_reason'] ?? 'end_turn');
  expect(end.message?.['id']).toBe(said['id']);
  expect(end.model).toBe(said['model']);
  expect(end.model_usage.output_tokens).toBe(usage['output_tokens']);
  expect(end.model_usage.cache_read_input_tokens).toBe(usage['cache_read_input_tokens'] ?? 0);
  expect(end.message?.['usage']).toMatchObject(withoutNull(usage));
  expect(end.message?.['context_management'] ?? null).toEqual(said['context_management'] ?? null);
  expect(end.message?.['container'] ?? null).toEqual(said['container'] ?? null);
  expect(end.message?.['stop_sequence'] ?? null).toBe(said['stop_sequence'] ?? null);
}

function withoutNull(fields: Readonly<Record<string, unknown>>) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

/** The next request holds the answer as it was, and every call of it with its result. */
function expectRequest(result: RespondResult, content: readonly Json[], agent: AgentInput) {
  const log = writeLog().user('hello').step(result);
  const calls = content.filter((block) => block['type'] === 'tool_use');
  for (const call of calls) log.result(String(call['id']), 'done');
  log.user('go on');
  const { request } = buildRequest(toSpeaker(AgentDefinition.parse(agent)), log.events);
  const [first, answer, next] = request.messages;
  expect(first?.role).toBe('user');
  expect(answer?.role).toBe('assistant');
  expect(JSON.stringify(answer?.content)).toBe(JSON.stringify(content.filter(isSendable)));
  expect(next?.content.map(({ type }) => type)).toEqual([
    ...calls.map(() => 'tool_result'),
    'text',
  ]);
}

/** The API takes no blank text back. */
function isSendable(block: Json): boolean {
  return block['type'] !== 'text' || String(block['text']).trim() !== '';
}
