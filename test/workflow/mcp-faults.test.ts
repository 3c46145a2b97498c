import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../launch/free-port.ts';
import { calls, says, scripted } from '../../rehearsal/script.ts';
import { mcpAgent } from '../support/mcp-agent.ts';
import { type McpHarness, startMcpHarness } from '../support/mcp-harness.ts';
import {
  ECHO,
  type McpServerScript,
  type OwnMcpServer,
  startMcpServer,
  startStream,
  toText,
} from '../support/mcp-server.ts';
import { waitFor } from '../support/wait-for.ts';

// Sessions with a server of our own that does what servers should not.

let harness: McpHarness;
const opened: OwnMcpServer[] = [];
beforeEach(() => {
  opened.length = 0;
});
afterEach(async () => {
  await harness.stop();
  await Promise.all(opened.map((server) => server.stop().catch(() => {})));
});

async function start(script: McpServerScript = {}, port = 0): Promise<OwnMcpServer> {
  const server = await startMcpServer(script, port);
  opened.push(server);
  return server;
}

const ECHO_TURNS = [says([calls('mcp__srv__echo', { message: 'hi' }, 'toolu_1')]), says('Done.')];

async function run(server: { readonly url: string }) {
  const handle = await harness.start({ agent: mcpAgent(server.url), initial_events: ['go'] });
  await harness.untilIdle(handle);
  return harness.eventsOf(handle.workflowId);
}

const errorsOf = (events: readonly { type: string }[]) =>
  events.flatMap((event) => ('error' in event ? [event.error] : []));

const resultsOf = (events: readonly { type: string }[]) =>
  events.filter(({ type }) => type === 'agent.mcp_tool_result');

function callsOf(server: OwnMcpServer): number {
  return server.requests.filter(({ method }) => method === 'tools/call').length;
}

test('a server that is away → an event, and it is asked again in the next turn', async () => {
  const port = await freePort(0);
  harness = await startMcpHarness({
    player: scripted([says('Without tools, then.'), ...ECHO_TURNS]),
  });
  const agent = mcpAgent(`http://127.0.0.1:${port}/mcp`);
  const handle = await harness.start({ agent, initial_events: ['go'] });
  await harness.untilIdle(handle);
  expect(errorsOf(await harness.eventsOf(handle.workflowId))).toEqual([
    expect.objectContaining({
      type: 'mcp_connection_failed_error',
      mcp_server_name: 'srv',
      message: expect.stringContaining('ECONNREFUSED'),
    }),
  ]);
  await start({}, port);
  await handle.signal('send', 'again');
  await waitFor('three requests', () => harness.model.requests.length === 3);
  expect(harness.model.requests[1]?.body.tools).toMatchObject([{ name: 'mcp__srv__echo' }]);
});

test('a server that comes back while the call is tried → called once', async () => {
  const first = await start();
  harness = await startMcpHarness({ player: scripted([says('Ready.'), ...ECHO_TURNS]) });
  const handle = await harness.start({ agent: mcpAgent(first.url), initial_events: ['hello'] });
  await harness.untilIdle(handle);
  await first.stop();
  await handle.signal('send', 'go');
  await waitFor('a failed attempt', async () => {
    const { raw } = await handle.describe();
    const [activity] = raw.pendingActivities ?? [];
    return activity?.lastFailure?.applicationFailureInfo?.type === 'Mcp.NotSent';
  });
  const second = await start({}, first.port);
  await waitFor('three requests', () => harness.model.requests.length === 3);
  expect(callsOf(first)).toBe(0);
  expect(callsOf(second)).toBe(1);
  expect(resultsOf(await harness.eventsOf(handle.workflowId))).toMatchObject([
    { content: [{ text: 'Echo: hi' }] },
  ]);
});

test('a server that stays away → nothing ran, and the session goes on', async () => {
  const server = await start();
  harness = await startMcpHarness({ player: scripted([says('Ready.'), ...ECHO_TURNS]) });
  const handle = await harness.start({ agent: mcpAgent(server.url), initial_events: ['hello'] });
  await harness.untilIdle(handle);
  await server.stop();
  await handle.signal('send', 'go');
  await waitFor('three requests', () => harness.model.requests.length === 3);
  const events = await harness.eventsOf(handle.workflowId);
  expect(errorsOf(events)).toMatchObject([{ type: 'mcp_connection_failed_error' }]);
  expect(resultsOf(events)).toMatchObject([
    {
      is_error: true,
      content: [{ text: expect.stringMatching(/^Nothing ran: MCP server "srv"/) }],
    },
  ]);
});

test.each([
  ['takes the call and hangs up', { call: (_request, response) => void response.destroy() }],
  [
    'cuts off the stream of its answer',
    {
      call(_request, response) {
        startStream(response)({ method: 'notifications/message', params: {} });
        setTimeout(() => response.destroy(), 50);
        return undefined;
      },
    },
  ],
  [
    'fails as a whole',
    { call: (_request, response) => void response.writeHead(500).end('on fire') },
  ],
] satisfies [string, McpServerScript][])(
  'a server that %s → called once, and its outcome is not known',
  async (_what, script) => {
    const server = await start(script);
    harness = await startMcpHarness({ player: scripted(ECHO_TURNS) });
    const events = await run(server);
    expect(resultsOf(events)).toMatchObject([
      {
        is_error: true,
        content: [{ text: expect.stringContaining('Whether it took effect is not known') }],
      },
    ]);
    expect(callsOf(server)).toBe(1);
    expect(events.at(-1)).toMatchObject({ type: 'session.status_idle' });
  },
);

test('an answer of more than is read → said so, and the session goes on', async () => {
  const server = await start({
    call(_request, response) {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(`{"filler":"${'x'.repeat(17 * 1024 * 1024)}"}`);
      return undefined;
    },
  });
  harness = await startMcpHarness({ player: scripted(ECHO_TURNS) });
  expect(resultsOf(await run(server))).toMatchObject([
    {
      is_error: true,
      content: [{ text: expect.stringMatching(/more than 16 MiB.*may have taken effect/) }],
    },
  ]);
});

test('a session of the server that has ended → opened anew, and called once', async () => {
  let isOver = false;
  const server = await start({
    before(request, response) {
      const over = isOver && request.method === 'POST';
      isOver = false;
      if (over) response.writeHead(404).end();
      return over;
    },
  });
  harness = await startMcpHarness({ player: scripted([says('Ready.'), ...ECHO_TURNS]) });
  const handle = await harness.start({ agent: mcpAgent(server.url), initial_events: ['hello'] });
  await harness.untilIdle(handle);
  isOver = true;
  await handle.signal('send', 'go');
  await waitFor('three requests', () => harness.model.requests.length === 3);
  expect(callsOf(server)).toBe(1);
  expect(errorsOf(await harness.eventsOf(handle.workflowId))).toEqual([]);
});

test('the tools are asked for once a session, and from the log after a roll-over', async () => {
  const server = await start();
  harness = await startMcpHarness({ player: scripted([says('Ready.'), ...ECHO_TURNS]) });
  const handle = await harness.start({ agent: mcpAgent(server.url), initial_events: ['hello'] });
  await harness.untilIdle(handle);
  await handle.signal('upgrade');
  await waitFor('another run', async () => {
    return (await handle.describe()).runId !== handle.firstExecutionRunId;
  });
  await handle.signal('send', 'go');
  await waitFor('three requests', () => harness.model.requests.length === 3);
  const lists = server.requests.filter(({ method }) => method === 'tools/list');
  expect(lists).toHaveLength(1);
  const [first, ...others] = harness.model.requests.map(({ body }) => JSON.stringify(body.tools));
  expect(others).toEqual([first, first]);
  expect(first).toContain('mcp__srv__echo');
});

test('a server that says its tools have changed → asked again before the next model step', async () => {
  let names = ['echo'];
  const server = await start({
    tools: () => ({ tools: names.map((name) => ({ ...ECHO, name })) }),
    call({ id }, response) {
      names = ['echo', 'second'];
      const send = startStream(response);
      send({ method: 'notifications/tools/list_changed' });
      send({ id, result: toText('There is more now.') });
      response.end();
      return undefined;
    },
  });
  harness = await startMcpHarness({ player: scripted(ECHO_TURNS) });
  await run(server);
  const offered = harness.model.requests.map(({ body }) => body.tools?.length);
  expect(offered).toEqual([1, 2]);
});

test('tools that no request could name → left out by name; the others are offered', async () => {
  const object = { type: 'object' };
  const server = await start({
    tools: (cursor) =>
      cursor === undefined
        ? {
            nextCursor: 'two',
            tools: [
              ECHO,
              { ...ECHO, description: 'again' },
              { name: 'array', inputSchema: { type: 'array' } },
              { name: 'none' },
              { name: 'odd', inputSchema: { ...object, properties: { a: { type: 'strnig' } } } },
              { name: 'choice', inputSchema: { ...object, anyOf: [object] } },
              { description: 'nameless', inputSchema: object },
            ],
          }
        : {
            tools: [
              { name: 'x'.repeat(250), inputSchema: object },
              { name: 'a.b/c d', inputSchema: object },
              { name: 'a b/c.d', inputSchema: object },
            ],
          },
  });
  harness = await startMcpHarness({ player: scripted([says('Ready.')]) });
  const events = await run(server);
  const names = harness.model.requests[0]?.body.tools?.map((tool) => Object(tool).name) ?? [];
  expect(names).toHaveLength(4);
  expect(new Set(names).size).toBe(4);
  for (const name of names) expect(name).toMatch(/^mcp__srv__[a-zA-Z0-9_-]{1,118}$/);
  const [error] = errorsOf(events);
  expect(error).toMatchObject({ mcp_server_name: 'srv' });
  for (const name of ['"array"', '"none"', '"odd"', '"choice"', '"echo"', 'tool 7']) {
    expect(Object(error).message).toContain(name);
  }
});

test('ten thousand tools → as many as may be, and what to do about the rest', async () => {
  const server = await start({
    tools: () => ({
      tools: Array.from({ length: 10_000 }, (_, index) => ({ ...ECHO, name: `tool-${index}` })),
    }),
  });
  harness = await startMcpHarness({
    player: scripted([says([calls('mcp__srv__tool-499', { message: 'hi' })]), says('Done.')]),
  });
  const events = await run(server);
  expect(harness.model.requests[0]?.body.tools).toHaveLength(500);
  expect(errorsOf(events)).toMatchObject([
    { message: expect.stringMatching(/9500 tools after the first 500.*configs of its toolset/) },
  ]);
  expect(resultsOf(events)).toMatchObject([{ content: [{ text: 'Echo: hi' }] }]);
});

test('a tool that fails, and one that is not there → results for the model', async () => {
  const server = await start({
    call: () => ({ content: [{ type: 'text', text: 'no such issue' }], isError: true }),
  });
  harness = await startMcpHarness({
    player: scripted([
      says([calls('mcp__srv__echo', {}, 'toolu_fails'), calls('mcp__srv__gone', {}, 'toolu_gone')]),
      says('Done.'),
    ]),
  });
  const events = await run(server);
  expect(resultsOf(events)).toMatchObject([
    { mcp_tool_use_id: 'toolu_fails', is_error: true, content: [{ text: 'no such issue' }] },
  ]);
  expect(events).toContainEqual(
    expect.objectContaining({ type: 'agent.tool_result', tool_use_id: 'toolu_gone' }),
  );
});
