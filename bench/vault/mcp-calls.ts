import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { type CallAccess, callTool } from '../../activities/mcp/call-tool.ts';
import { createConnections } from '../../activities/mcp/connections.ts';
import { createGuardedFetch } from '../../dial/guarded-fetch.ts';
import { toBlockList } from '../../dial/public-addresses.ts';
import { freePort } from '../../launch/free-port.ts';
import { openVaultKeeper } from '../../vault/keeper.ts';
import { openVault } from '../../vault/open-vault.ts';
import { readVaultSettings } from '../../vault/settings.ts';
import { distributionOf, medianOf, ratio, timed } from '../measure.ts';
import { progress, type Report } from '../report.ts';
import { startTied } from '../world/tied-process.ts';

const PROGRAM = fileURLToPath(
  new URL(
    '../../node_modules/@modelcontextprotocol/server-everything/dist/index.js',
    import.meta.url,
  ),
);
const ROUNDS = 10;
const CALLS_PER_ROUND = 30;
const MESSAGE = 'said again';

/**
 * A call of the reference server's tool as the vault worker makes it (credential, guarded dial,
 * redaction), and as its own client does, in turn. Temporal's part is that of any activity.
 */
export async function measureMcpCalls(): Promise<Omit<Report, 'bench'>> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'drover-bench-mcp-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const url = await startServer(folder, stack);
  const direct = await connectDirectly(url, stack);
  const access = await openAccess(url, folder, stack);
  const calls: { readonly through: number[]; readonly direct: number[] } = {
    through: [],
    direct: [],
  };
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (let call = 0; call < CALLS_PER_ROUND; call += 1) {
      const bare = await timed(() => callDirectly(direct));
      const whole = await timed(() => callThrough(access, url));
      // The first round is the machine's, not ours: nothing is compiled yet.
      if (round === 0) continue;
      calls.direct.push(bare.ms);
      calls.through.push(whole.ms);
    }
  }
  progress(`MCP calls: p50 ${medianOf(calls.through)} ms, directly ${medianOf(calls.direct)} ms`);
  return {
    figures: {
      mcp_call_ms: distributionOf(calls.through),
      mcp_call_to_direct: ratio(medianOf(calls.through), medianOf(calls.direct)),
    },
    targets: [],
    baseline: { mcp_direct_call_ms: distributionOf(calls.direct) },
  };
}

async function startServer(folder: string, stack: AsyncDisposableStack): Promise<string> {
  const port = await freePort(0);
  const server = startTied({
    name: 'the MCP server',
    command: process.execPath,
    arguments: [PROGRAM, 'streamableHttp'],
    environment: { PATH: process.env['PATH'], PORT: String(port) },
    logPath: join(folder, 'server.log'),
  });
  stack.defer(() => server.kill());
  await server.said('MCP Streamable HTTP Server listening');
  return `http://127.0.0.1:${port}/mcp`;
}

async function connectDirectly(url: string, stack: AsyncDisposableStack): Promise<Client> {
  const client = new Client({ name: 'bench', version: '1.0.0' });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  stack.defer(() => client.close());
  return client;
}

async function openAccess(
  url: string,
  folder: string,
  stack: AsyncDisposableStack,
): Promise<CallAccess> {
  const settings = readVaultSettings({ DROVER_VAULT: pathToFileURL(folder).href }, folder);
  const keeper = openVaultKeeper(settings);
  await keeper.createVault({ id: 'bench' });
  const auth = { type: 'static_bearer', mcp_server_url: url } as const;
  await keeper.createCredential({ vault_id: 'bench', id: 'mcp', auth }, 'a-secret-of-the-bench');
  keeper.close();
  const vault = openVault(settings);
  stack.defer(() => vault.close());
  const fetch = createGuardedFetch({ privateNetworks: toBlockList(['127.0.0.0/8']) });
  const connections = createConnections({ fetch, vault });
  stack.defer(() => connections.close());
  return {
    connections,
    vault,
    // Asked of the history once for each run: no part of a call.
    authority: { check: async () => {} },
    execution: { workflowId: 'bench', runId: 'bench', workflowType: 'session' },
    vaultIds: ['bench'],
    signal: new AbortController().signal,
    attempt: 1,
    spillPlace: { folder: '', openStore: () => Promise.reject(new Error('nothing here is large')) },
    onProgress: () => {},
  };
}

async function callDirectly(client: Client): Promise<void> {
  const { content } = await client.callTool({ name: 'echo', arguments: { message: MESSAGE } });
  check(content);
}

async function callThrough(access: CallAccess, url: string): Promise<void> {
  const { events } = await callTool(access, {
    server: { type: 'url', name: 'everything', url },
    vault_ids: ['bench'],
    call: { id: `toolu_${randomUUID()}`, name: 'echo', input: { message: MESSAGE } },
    may_spill: false,
  });
  check(events);
}

/** @throws Error: what follows would be measured wrong */
function check(said: unknown): void {
  const text = JSON.stringify(said);
  if (!text.includes(MESSAGE)) throw new Error(`the call failed: ${text}`);
}
