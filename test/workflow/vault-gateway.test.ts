import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { NativeConnection } from '@temporalio/worker';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { openKeysPath } from '../../egress/authority-file.ts';
import { type HandTokenInput, signToken } from '../../egress/hand-token.ts';
import { readKeys } from '../../egress/keys.ts';
import { readEgressSettings } from '../../egress/settings.ts';
import { freePort } from '../../launch/free-port.ts';
import type { ProvisionInput } from '../../protocol/hand.ts';
import { calls, says, scripted } from '../../rehearsal/script.ts';
import { openVault } from '../../vault/open-vault.ts';
import { startGateway } from '../../workers/gateway.ts';
import { okHands } from '../support/harness.ts';
import { type McpHarness, startMcpHarness } from '../support/mcp-harness.ts';
import { waitFor } from '../support/wait-for.ts';

// The gateway as workers start it, with sessions that hold hands, or do not any more.

const VALUE = 'the-value-of-it-4711';
const TURN = [says([calls('bash', { command: 'use' }, 'toolu_1')]), says('Done.')];

let harness: McpHarness;
let provisioned: ProvisionInput[];
let server: Server;
let heard: unknown[];
let stateFolder: string;
let port: number;
let closing: AsyncDisposableStack;

beforeEach(async () => {
  closing = new AsyncDisposableStack();
  stateFolder = mkdtempSync(join(tmpdir(), 'drv-'));
  provisioned = [];
  heard = [];
  harness = await startMcpHarness({
    player: scripted([...TURN, ...TURN, ...TURN]),
    hands: () =>
      okHands({
        async provision(input) {
          provisioned.push(input);
          return { hand: { ...input.hand, provider: 'fake', instance: 'instance-1' } };
        },
      }),
  });
  server = createServer((request, response) => {
    heard.push(request.headers['x-key']);
    response.end('heard\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = await freePort(0);
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
  closing.defer(() => connection.close());
  const connected = { connection, namespace: 'default', namespaceId: '' };
  const variables = {
    DROVER_EGRESS_PORT: String(port),
    DROVER_EGRESS_PRIVATE_NETWORKS: '127.0.0.0/8',
  };
  const vault = openVault(harness.vaultSettings);
  closing.defer(() => vault.close());
  await startGateway(
    {
      egress: readEgressSettings(variables, stateFolder),
      stateFolder,
      vault,
      keys: null,
      askTemporal: async () => connected,
    },
    closing,
  );
  await harness.keeper.createVault({ id: 'team' });
  await harness.keeper.createCredential(
    {
      vault_id: 'team',
      id: 'api',
      auth: {
        type: 'environment_variable',
        secret_name: 'API_TOKEN',
        networking: { type: 'limited', allowed_hosts: ['127.0.0.1'] },
      },
    },
    VALUE,
  );
});
afterEach(async () => {
  await closing.disposeAsync();
  server.close();
  await harness.stop();
  rmSync(stateFolder, { recursive: true });
});

async function run(input: object) {
  const handle = await harness.start({ initial_events: ['go'], ...input });
  await harness.untilIdle(handle);
  return handle;
}

/** What a hand sends that was provisioned so, with changes. */
async function ask(
  { hand, grants }: ProvisionInput,
  change: Partial<HandTokenInput> = {},
): Promise<string> {
  const variables = [...(grants?.variables ?? [])];
  const keys = readKeys(openKeysPath(readEgressSettings({}, stateFolder)));
  const token = signToken(keys, {
    session: hand.session_id,
    chain_id: hand.chain_id,
    name: hand.name,
    generation: hand.generation,
    hand: 'hand-1',
    addresses: ['127.0.0.1'],
    hosts: null,
    variables,
    expires: 4_000_000_000,
    ...change,
  });
  const to = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const credentials = Buffer.from(`hand:${token}`).toString('base64');
  const placeholder = variables[0]?.placeholder ?? 'none';
  const socket = connect(port, '127.0.0.1');
  socket.write(
    `GET http://${to}/ HTTP/1.1\r\nHost: ${to}\r\nX-Key: ${placeholder}\r\nConnection: close\r\n` +
      `Proxy-Authorization: Basic ${credentials}\r\n\r\n`,
  );
  return text(socket);
}

function first(): ProvisionInput {
  const [input] = provisioned;
  if (input === undefined) throw new Error('nothing was provisioned');
  return input;
}

test('a hand that its session holds → has the use of its variable; one that it does not hold, not', async () => {
  const handle = await run({ vault_ids: ['team'] });
  expect(await ask(first())).toContain('heard');
  expect(heard).toEqual([VALUE]);
  for (const change of [{ generation: 2 }, { name: 'gpu' }, { chain_id: 'another' }]) {
    expect(await ask(first(), change)).toContain('does not hold this hand any more');
  }
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow();
  const ended = await waitFor('the token to end with its session', async () => {
    const said = await ask(first());
    return said.includes('heard') ? false : said;
  });
  expect(ended).toContain(`403 session ${handle.workflowId} does not hold this hand any more`);
  expect(new Set(heard)).toEqual(new Set([VALUE]));
});

test('a token that names a vault which its session does not → refused', async () => {
  await run({ vault_ids: ['team'] });
  const other = await run({});
  const [one, two] = provisioned;
  if (one === undefined || two === undefined) throw new Error('no two hands');
  const said = await ask({ ...two, ...(one.grants === undefined ? {} : { grants: one.grants }) });
  expect(said).toContain(`403 session ${other.workflowId} may not use vault team`);
  expect(heard).toEqual([]);
});

test('rotated, narrowed, archived → counts within seconds', async () => {
  await run({ vault_ids: ['team'] });
  expect(await ask(first())).toContain('heard');
  const reference = { vault_id: 'team', credential_id: 'api' };
  await harness.keeper.rotateCredential(reference, 'another-value-4712');
  await waitFor('the new value to be used', async () => {
    await ask(first());
    return heard.at(-1) === 'another-value-4712';
  });
  await harness.keeper.archiveCredential(reference);
  const refused = await waitFor('the credential to be refused', async () => {
    const said = await ask(first());
    return said.includes('heard') ? false : said;
  });
  expect(refused).toMatch(/403 credential api of vault team was archived at/);
});
