import { describe, expect, test } from 'vitest';
import { buildRequest } from '../../activities/model/request.ts';
import { AgentDefinition, type AgentInput } from '../../protocol/agent.ts';
import type { RecordedEvent } from '../../protocol/session-event.ts';
import { checkRequest } from '../../rehearsal/check-request.ts';
import { type WrittenLog, writeLog } from '../support/model-step.ts';
import { requestEnd } from '../support/request-end.ts';
import { toSpeaker } from '../support/to-speaker.ts';

const HEADERS = { 'x-api-key': 'k', 'anthropic-version': '2023-06-01' };

/** The conversation in short: `user: …` and `assistant: …` with one word per block. */
function view(log: WrittenLog, agent: AgentInput = {}): string[] {
  const { request } = buildRequest(toSpeaker(AgentDefinition.parse(agent)), log.events);
  expect(checkRequest(HEADERS, request)).toBeUndefined();
  return request.messages.map(({ role, content }) => `${role}: ${content.map(short).join(' | ')}`);
}

function short(block: { type: string }): string {
  const { type, text, id, tool_use_id, content, is_error, thinking } = block as unknown as Record<
    string,
    unknown
  >;
  if (type === 'text') return String(text);
  if (type === 'thinking') return `(${thinking})`;
  if (type === 'tool_result') {
    const [first] = (content ?? []) as { text: string }[];
    return `${tool_use_id}=${is_error ? '!' : ''}${first?.text ?? ''}`;
  }
  return `${String(type).replace(/^tool_use$/, 'call')} ${id ?? tool_use_id ?? ''}`.trim();
}

const running = { type: 'session.status_running' as const };
const idle = {
  type: 'session.status_idle' as const,
  stop_reason: { type: 'end_turn' as const },
  stop_details: null,
};
const interrupt = { type: 'user.interrupt' as const };
const message = (text: string) => ({
  type: 'user.message' as const,
  content: [{ type: 'text' as const, text }],
});
const start = { type: 'span.model_request_start' as const };
const says = (text: string): RecordedEvent => ({
  type: 'agent.message',
  content: [{ type: 'text', text, citations: null }],
});
const thinks = (thinking: string, signature: string): RecordedEvent => ({
  type: 'agent.thinking',
  block: { type: 'thinking', thinking, signature },
});
const call = (id: string): RecordedEvent => ({
  type: 'agent.tool_use',
  id,
  name: 'bash',
  input: {},
  evaluated_permission: 'allow',
});
const serverCall = (id: string): RecordedEvent => ({
  type: 'agent.tool_use',
  id,
  name: 'web_search',
  input: { query: 'q' },
  evaluated_permission: 'allow',
  block: { type: 'server_tool_use', id, name: 'web_search', input: {} },
});
const serverResult = (id: string): RecordedEvent => ({
  type: 'agent.tool_result',
  tool_use_id: id,
  block: { type: 'web_search_tool_result', tool_use_id: id, content: [] },
});

const INTERRUPTED =
  '[The user interrupted you here. What was running was stopped; do not take it up again unless asked to.]';
const CUT =
  '[Your answer was cut off at the output limit. Go on exactly where it stopped; repeat nothing.]';

const cases: [string, WrittenLog, string[]][] = [
  ['a first message', writeLog().user('hi'), ['user: hi']],
  [
    'messages before the first step are one',
    writeLog().user('hi').user('there'),
    ['user: hi | there'],
  ],
  [
    'a message sent while the model spoke comes after its answer',
    writeLog().user('hi').add(start, message('wait'), says('hello'), requestEnd('end_turn')),
    ['user: hi', 'assistant: hello', 'user: wait'],
  ],
  [
    'a message sent while the model spoke comes after the results of its tools',
    writeLog()
      .user('hi')
      .add(start, message('wait'), says('look'), call('t1'), requestEnd('tool_use'))
      .result('t1', 'files'),
    ['user: hi', 'assistant: look | call t1', 'user: t1=files | wait'],
  ],
  [
    'a message sent while a tool ran comes after its result',
    writeLog()
      .user('hi')
      .step([call('t1'), requestEnd('tool_use')])
      .user('wait')
      .result('t1', 'files'),
    ['user: hi', 'assistant: call t1', 'user: t1=files | wait'],
  ],
  [
    'parallel results are one message, in the order of the calls',
    writeLog()
      .user('hi')
      .step([call('t1'), call('t2'), call('t3'), requestEnd('tool_use')])
      .result('t3', 'c')
      .result('t1', 'a')
      .result('t2', 'b'),
    ['user: hi', 'assistant: call t1 | call t2 | call t3', 'user: t1=a | t2=b | t3=c'],
  ],
  [
    'the first result of a call wins',
    writeLog()
      .user('hi')
      .step([call('t1'), requestEnd('tool_use')])
      .result('t1', 'first')
      .result('t1', 'second')
      .add({ type: 'user.custom_tool_result', custom_tool_use_id: 't1' }),
    ['user: hi', 'assistant: call t1', 'user: t1=first'],
  ],
  [
    'a custom tool is answered by the client',
    writeLog()
      .user('hi')
      .step([
        { type: 'agent.custom_tool_use', id: 't1', name: 'lookup', input: {} },
        requestEnd('tool_use'),
      ])
      .add({
        type: 'user.custom_tool_result',
        custom_tool_use_id: 't1',
        content: [{ type: 'text', text: 'no' }],
        is_error: true,
      }),
    ['user: hi', 'assistant: call t1', 'user: t1=!no'],
  ],
  [
    'a call without a result gets one',
    writeLog()
      .user('hi')
      .step([call('t1'), requestEnd('tool_use')])
      .user('and?'),
    ['user: hi', 'assistant: call t1', 'user: t1=!no result was recorded | and?'],
  ],
  [
    'an empty result is sent without content',
    writeLog()
      .user('hi')
      .step([call('t1'), requestEnd('tool_use')])
      .result('t1', ''),
    ['user: hi', 'assistant: call t1', 'user: t1='],
  ],
  [
    'a result belongs to the call that waits, not to a refused one of the same id',
    writeLog()
      .user('bad')
      .step([
        {
          type: 'agent.message',
          content: [],
          block: { type: 'tool_use', id: 't1', name: 'bash', input: {} },
        },
        requestEnd('refusal'),
      ])
      .user('good')
      .step([call('t1'), requestEnd('tool_use')])
      .result('t1', 'a'),
    ['user: bad | good', 'assistant: call t1', 'user: t1=a'],
  ],
  [
    'a refused answer is not sent back',
    writeLog()
      .user('bad')
      .step([says('I ca'), requestEnd('refusal')])
      .user('good'),
    ['user: bad | good'],
  ],
  [
    'a failed step leaves its message for the next',
    writeLog().user('hi').add(start).user('still there?'),
    ['user: hi | still there?'],
  ],
  [
    'blank text is not sent back',
    writeLog()
      .user('hi')
      .step([says('\n\n'), says('hello'), says(''), requestEnd('end_turn')])
      .user(' \n'),
    ['user: hi', 'assistant: hello', 'user: (blank)'],
  ],
  [
    'thinking is sent back, but not without its signature',
    writeLog()
      .user('hi')
      .step([thinks('yes', 'sig'), says('a'), requestEnd('end_turn')])
      .user('go')
      .step([thinks('no', ''), says('b'), requestEnd('interrupted')])
      .user('on'),
    ['user: hi', 'assistant: (yes) | a', 'user: go', 'assistant: b', 'user: on'],
  ],
  [
    'an answer that ends in thinking ends before it',
    writeLog()
      .user('hi')
      .step([says('a'), thinks('b', 's'), requestEnd('interrupted')])
      .user('go'),
    ['user: hi', 'assistant: a', 'user: go'],
  ],
  [
    'an interrupted answer keeps its words and its complete calls',
    writeLog()
      .user('hi')
      .add(running)
      .add(start, interrupt, says('I wi'), call('t1'), requestEnd('interrupted'))
      .result('t1', 'interrupted')
      .add(idle)
      .user('what now?'),
    ['user: hi', 'assistant: I wi | call t1', `user: t1=interrupted | ${INTERRUPTED} | what now?`],
  ],
  [
    'an interrupt while nothing runs is not told',
    writeLog()
      .add(running)
      .user('hi')
      .step([says('a'), requestEnd('end_turn')])
      .add(idle, interrupt)
      .user('b'),
    ['user: hi', 'assistant: a', 'user: b'],
  ],
  [
    'two interrupts are told once',
    writeLog()
      .add(running)
      .user('hi')
      .add(start, interrupt, interrupt, requestEnd('interrupted'), idle)
      .user('b'),
    [`user: hi | ${INTERRUPTED} | b`],
  ],
  [
    'an answer cut at the output limit is continued',
    writeLog()
      .user('hi')
      .step([says('one two'), requestEnd('max_tokens')]),
    ['user: hi', 'assistant: one two', `user: ${CUT}`],
  ],
  [
    'but not when its tools have results to go on with',
    writeLog()
      .user('hi')
      .step([call('t1'), requestEnd('max_tokens')])
      .result('t1', 'a'),
    ['user: hi', 'assistant: call t1', 'user: t1=a'],
  ],
  [
    'nor when the user has spoken',
    writeLog()
      .user('hi')
      .step([says('one'), requestEnd('max_tokens')])
      .user('stop'),
    ['user: hi', 'assistant: one', 'user: stop'],
  ],
  [
    'a paused answer is sent back as it is, and goes on as one',
    writeLog()
      .user('hi')
      .step([serverCall('s1'), serverResult('s1'), serverCall('s2'), requestEnd('pause_turn')])
      .step([serverResult('s2'), says('done'), requestEnd('end_turn')])
      .user('b'),
    [
      'user: hi',
      'assistant: server_tool_use s1 | web_search_tool_result s1 | server_tool_use s2 | web_search_tool_result s2 | done',
      'user: b',
    ],
  ],
  [
    'a server tool that was cut off by an interrupt is left out',
    writeLog()
      .user('hi')
      .step([serverCall('s1'), serverResult('s1'), serverCall('s2'), requestEnd('interrupted')])
      .user('b'),
    ['user: hi', 'assistant: server_tool_use s1 | web_search_tool_result s1', 'user: b'],
  ],
];

describe('what the model sees', () => {
  test.each(cases)('%s', (_name, log, expected) => {
    expect(view(log)).toEqual(expected);
  });

  test('a request that goes on from a pause ends with the paused answer', () => {
    const log = writeLog()
      .user('hi')
      .step([serverCall('s1'), requestEnd('pause_turn')]);
    expect(view(log)).toEqual(['user: hi', 'assistant: server_tool_use s1']);
  });
});

describe('named assumptions', () => {
  const interrupted = writeLog()
    .add(running)
    .user('hi')
    .add(start, interrupt, requestEnd('interrupted'))
    .user('b');
  const cut = writeLog()
    .user('hi')
    .step([says('one'), requestEnd('max_tokens')]);
  const names = (log: WrittenLog, agent: AgentInput = {}) =>
    buildRequest(toSpeaker(AgentDefinition.parse(agent)), log.events).assumptions;

  test('are recorded when they shaped the request, and only then', () => {
    expect(names(interrupted)).toEqual(['note_interrupt']);
    expect(names(cut)).toEqual(['continue_after_max_tokens']);
    expect(names(writeLog().user('hi'))).toEqual([]);
  });

  test('can be switched off per agent', () => {
    const agent = { assumptions: { note_interrupt: false } };
    expect(names(interrupted, agent)).toEqual([]);
    expect(view(interrupted, agent)).toEqual(['user: hi | b']);
    expect(names(cut, agent)).toEqual(['continue_after_max_tokens']);
    expect(names(cut, { assumptions: { continue_after_max_tokens: false } })).toEqual([]);
  });
});

describe('tools and marks of the request', () => {
  const agent = AgentDefinition.parse({
    system: 'Be brief.',
    tools: [
      {
        type: 'agent_toolset_20260401',
        configs: [
          { name: 'grep', enabled: false },
          { name: 'web_fetch', enabled: true },
        ],
      },
      {
        type: 'custom',
        name: 'lookup',
        description: 'Looks up.',
        input_schema: { type: 'object' },
      },
    ],
  });

  test('hand tools as the SDK words them, server tools by name only, custom tools as given', () => {
    const { tools } = buildRequest(toSpeaker(agent), writeLog().user('hi').events).request;
    expect(tools?.map((tool) => ('name' in tool ? tool.name : ''))).toEqual([
      'bash',
      'read',
      'write',
      'edit',
      'glob',
      'web_fetch',
      'lookup',
    ]);
    expect(tools?.[0]).toMatchObject({
      type: 'custom',
      description:
        'Run a bash command in a persistent shell. State (cwd, env vars) persists across calls.',
      input_schema: { type: 'object', properties: { command: { type: 'string' } } },
    });
    expect(tools?.[5]).toEqual({ type: 'web_fetch_20250910', name: 'web_fetch' });
    expect(tools?.[6]).toEqual({
      type: 'custom',
      name: 'lookup',
      description: 'Looks up.',
      input_schema: { type: 'object' },
    });
  });

  test('marks instructions and the last two user contents for the cache', () => {
    const log = writeLog()
      .user('a')
      .step([says('b'), requestEnd('end_turn')])
      .user('c')
      .step([says('d'), requestEnd('end_turn')]);
    const { request } = buildRequest(toSpeaker(agent), log.user('e').user('f').events);
    expect(request.system).toEqual([
      { type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } },
    ]);
    const marked = request.messages.flatMap(({ content }) =>
      content.filter((block) => 'cache_control' in block).map(short),
    );
    expect(marked).toEqual(['c', 'f']);
    expect(JSON.stringify(request.tools)).not.toContain('cache_control');
  });

  test('marks the tools when there is no system prompt', () => {
    const { request } = buildRequest(
      toSpeaker({ ...agent, system: null }),
      writeLog().user('hi').events,
    );
    expect(request.system).toBeUndefined();
    expect(request.tools?.at(-1)).toMatchObject({
      name: 'lookup',
      cache_control: { type: 'ephemeral' },
    });
  });
});
