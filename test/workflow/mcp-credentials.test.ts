import { afterEach, beforeEach, expect, test } from 'vitest';
import { calls, says, scripted } from '../../rehearsal/script.ts';
import { everythingOf, spellings } from '../support/canary.ts';
import { mcpAgent } from '../support/mcp-agent.ts';
import { type McpHarness, startMcpHarness } from '../support/mcp-harness.ts';
import {
  type OwnMcpServer,
  sendMessage,
  startMcpServer,
  startStream,
  toText,
} from '../support/mcp-server.ts';
import { startTokenEndpoint, type TokenEndpoint } from '../support/token-endpoint.ts';

// Sessions with a server of our own that lets nobody in without a token.

const CANARY = 'canary/4711+of the~server&key'.replaceAll(' ', '_');

let harness: McpHarness;
const opened: { stop(): Promise<void> }[] = [];
beforeEach(() => {
  opened.length = 0;
});
afterEach(async () => {
  await harness.stop();
  await Promise.all(opened.map((server) => server.stop()));
});

async function start(...script: Parameters<typeof startMcpServer>): Promise<OwnMcpServer> {
  const server = await startMcpServer(...script);
  opened.push(server);
  return server;
}

async function startTokens(): Promise<TokenEndpoint> {
  const endpoint = await startTokenEndpoint();
  opened.push({ stop: () => endpoint.close() });
  return endpoint;
}

const ECHO_TURNS = [says([calls('mcp__srv__echo', { message: 'hi' }, 'toolu_1')]), says('Done.')];

async function addBearer(mcp_server_url: string, token = CANARY): Promise<void> {
  await harness.keeper.createVault({ id: 'team' });
  const auth = { type: 'static_bearer' as const, mcp_server_url };
  await harness.keeper.createCredential({ vault_id: 'team', id: 'srv', auth }, token);
}

async function addOauth(url: string, endpoint: TokenEndpoint, access_token: string) {
  await harness.keeper.createVault({ id: 'team' });
  const refresh = {
    client_id: 'drover',
    token_endpoint: endpoint.url,
    token_endpoint_auth: { type: 'none' as const },
  };
  const auth = { type: 'mcp_oauth' as const, mcp_server_url: url, refresh };
  await harness.keeper.createCredential(
    { vault_id: 'team', id: 'srv', auth },
    JSON.stringify({ access_token, refresh_token: endpoint.refreshToken }),
  );
}

async function run(server: OwnMcpServer, input: object = { vault_ids: ['team'] }) {
  const handle = await harness.start({
    agent: mcpAgent(server.url),
    initial_events: ['go'],
    ...input,
  });
  await harness.untilIdle(handle);
  return { handle, events: await harness.eventsOf(handle.workflowId) };
}

const errorsOf = (events: readonly { type: string }[]) =>
  events.flatMap((event) => ('error' in event ? [event.error] : []));

test('a refused token → refreshed once, the request sent once more', async () => {
  const endpoint = await startTokens();
  const server = await start({ accepts: (token) => token === endpoint.accessToken });
  harness = await startMcpHarness({ player: scripted(ECHO_TURNS) });
  await addOauth(server.url, endpoint, 'at-that-has-ended');
  const { handle, events } = await run(server);
  expect(events).toContainEqual(
    expect.objectContaining({
      type: 'agent.mcp_tool_result',
      content: [{ type: 'text', text: 'Echo: hi' }],
    }),
  );
  expect(errorsOf(events)).toEqual([]);
  expect(endpoint.requests).toHaveLength(1);
  const everything = await everythingOf(harness.client, handle);
  for (const secret of [endpoint.accessToken, endpoint.refreshToken, 'at-that-has-ended']) {
    expect(spellings(secret).filter((one) => everything.includes(one))).toEqual([]);
  }
});

test('a token that is refused again → an event, and the session goes on', async () => {
  const endpoint = await startTokens();
  const server = await start({ accepts: () => false });
  harness = await startMcpHarness({ player: scripted([says('Without tools, then.')]) });
  await addOauth(server.url, endpoint, 'at-first');
  const { events } = await run(server);
  expect(errorsOf(events)).toEqual([
    expect.objectContaining({
      type: 'mcp_authentication_failed_error',
      mcp_server_name: 'srv',
      message: expect.stringContaining("refused the session's credential (HTTP 401)"),
    }),
  ]);
  expect(endpoint.requests).toHaveLength(1);
  expect(harness.model.requests[0]?.body.tools).toBeUndefined();
  expect(events.at(-1)).toMatchObject({ type: 'session.status_idle' });
});

test('a refresh token that is refused → the words of the vault, and no token', async () => {
  const endpoint = await startTokens();
  const server = await start({ accepts: () => false });
  harness = await startMcpHarness({ player: scripted([says('Without tools, then.')]) });
  await addOauth(server.url, endpoint, 'at-first');
  endpoint.troubles.push({ type: 'status', status: 400, body: '{"error":"invalid_grant"}' });
  const { events } = await run(server);
  expect(errorsOf(events)).toEqual([
    expect.objectContaining({ type: 'mcp_authentication_failed_error', mcp_server_name: 'srv' }),
  ]);
});

test('no credential for the URL → said so, whatever else the vault has', async () => {
  const server = await start({ accepts: (token) => token === CANARY });
  harness = await startMcpHarness({ player: scripted([says('Without tools, then.')]) });
  await addBearer(`${server.url}/other`);
  const { events } = await run(server);
  expect(errorsOf(events)).toEqual([
    expect.objectContaining({
      type: 'mcp_authentication_failed_error',
      message: expect.stringContaining('no vault of the session has one for its URL'),
    }),
  ]);
  expect(server.authorizations.every((header) => header === undefined)).toBe(true);
});

test('a credential is found by the normalised URL', async () => {
  const server = await start({ accepts: (token) => token === CANARY });
  harness = await startMcpHarness({ player: scripted(ECHO_TURNS) });
  await addBearer(server.url.replace('http://', 'HTTP://').concat('/'));
  const { events } = await run(server);
  expect(errorsOf(events)).toEqual([]);
});

test('a vault that the session does not name is not used', async () => {
  const server = await start({ accepts: (token) => token === CANARY });
  harness = await startMcpHarness({ player: scripted([says('Without tools, then.')]) });
  await addBearer(server.url);
  const { events } = await run(server, {});
  expect(errorsOf(events)).toMatchObject([{ type: 'mcp_authentication_failed_error' }]);
  expect(server.authorizations.every((header) => header === undefined)).toBe(true);
});

test('a vault that is not there → its name', async () => {
  const server = await start();
  harness = await startMcpHarness({ player: scripted([says('Without tools, then.')]) });
  const { events } = await run(server, { vault_ids: ['nowhere'] });
  expect(errorsOf(events)).toMatchObject([
    { type: 'mcp_authentication_failed_error', message: expect.stringContaining('nowhere') },
  ]);
});

/** All ways in which a server may repeat what it was sent. */
function repeat(header: string): string {
  const token = header.replace('Bearer ', '');
  return [
    header,
    encodeURIComponent(header),
    Buffer.from(header).toString('base64'),
    Buffer.from(`x${header}`).toString('base64'),
    Buffer.from(`xy${token}z`).toString('base64url'),
    Buffer.from(token).toString('hex'),
  ].join(' ');
}

const REPEATING = ['text', 'structured', 'resource', 'error', 'status', 'progress'] as const;

test.each(REPEATING)(
  'a server that repeats the token in its %s → none of it is kept',
  async (way) => {
    const server = await start({
      accepts: (token) => token === CANARY,
      tools: () => ({
        tools: [
          {
            name: 'echo',
            description: repeat(CANARY),
            inputSchema: { type: 'object', properties: {}, title: repeat(CANARY) },
          },
        ],
      }),
      call({ id, params, authorization = '' }, response) {
        const said = repeat(authorization);
        const { progressToken } = Object(params['_meta']);
        switch (way) {
          case 'text':
            return said;
          case 'structured':
            return { content: [], structuredContent: { said } };
          case 'resource': {
            const blob = Buffer.from(`xx${authorization}yy`).toString('base64');
            return { content: [{ type: 'resource', resource: { uri: `x:${said}`, blob } }] };
          }
          case 'error':
            sendMessage(response, { id, error: { code: -32_000 - 1, message: said } });
            return undefined;
          case 'status':
            response.writeHead(500, said.slice(0, 50).replaceAll(/[^\w]/g, '')).end(said);
            return undefined;
          case 'progress': {
            const send = startStream(response);
            const told = { progressToken, progress: 1, message: said };
            send({ method: 'notifications/progress', params: told });
            setTimeout(() => {
              send({ id, result: toText('done') });
              response.end();
            }, 1_500);
            return undefined;
          }
        }
      },
    });
    harness = await startMcpHarness({
      player: scripted([says([calls('mcp__srv__echo', {}, 'toolu_1')]), says('Done.')]),
    });
    await addBearer(server.url);
    const { handle, events } = await run(server);
    expect(events.some(({ type }) => type === 'agent.mcp_tool_result')).toBe(true);
    const everything = await everythingOf(harness.client, handle);
    expect(everything.includes('[secret]')).toBe(true);
    expect(spellings(CANARY).filter((one) => everything.includes(one))).toEqual([]);
    const sent = JSON.stringify(harness.model.requests);
    expect(spellings(CANARY).filter((one) => sent.includes(one))).toEqual([]);
  },
);

test('a redirect to another host → not followed, nothing sent there', async () => {
  const other = await start();
  const server = await start({
    before(_request, response) {
      response.writeHead(307, { location: other.url }).end();
      return true;
    },
  });
  harness = await startMcpHarness({ player: scripted([says('Without tools, then.')]) });
  await addBearer(server.url);
  const { events } = await run(server);
  expect(errorsOf(events)).toMatchObject([{ type: 'mcp_connection_failed_error' }]);
  expect(other.authorizations).toEqual([]);
});

const REFUSED = [
  'http://169.254.169.254/latest/meta-data',
  'https://169.254.169.254/latest/meta-data',
  'https://10.0.0.1/mcp',
  'https://localhost/mcp',
  'https://[::1]/mcp',
  'https://[::ffff:127.0.0.1]/mcp',
];

test('addresses that are not public → not dialled, and the variable that would let them', async () => {
  harness = await startMcpHarness({
    player: scripted([says('Without tools, then.')]),
    privateNetworks: '',
  });
  const handle = await harness.start({
    initial_events: ['go'],
    agent: {
      mcp_servers: REFUSED.map((url) => ({ type: 'url', name: url, url })),
      tools: REFUSED.map((name) => ({ type: 'mcp_toolset', mcp_server_name: name })),
    },
  });
  await harness.untilIdle(handle);
  const errors = errorsOf(await harness.eventsOf(handle.workflowId));
  const told = Object.fromEntries(errors.map((error) => [Object(error).mcp_server_name, error]));
  expect(Object.keys(told).sort()).toEqual([...REFUSED].sort());
  for (const url of REFUSED) {
    expect(told[url], url).toMatchObject({
      type: 'mcp_connection_failed_error',
      message: expect.stringContaining('DROVER_VAULT_PRIVATE_NETWORKS'),
    });
  }
});
