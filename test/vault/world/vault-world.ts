import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { releaseAll } from '../../../activities/hands/local/release-all.ts';
import { createLogReader, type LogReader } from '../../../log/log-reader.ts';
import { type RehearsalServer, startRehearsalServer } from '../../../rehearsal/server.ts';
import { loadWorkflowBundle, PAYLOAD_CONVERTER_PATH } from '../../../workers/workflow-bundle.ts';
import { BUNDLE_CACHE } from '../../support/bundle-cache.ts';
import { type DevServer, startDevServer } from '../../support/dev-server.ts';
import { type GitTestServer, startGitServer } from '../../support/git-server.ts';
import type { OwnMcpServer } from '../../support/mcp-server.ts';
import { startTokenEndpoint, type TokenEndpoint } from '../../support/token-endpoint.ts';
import { startWorkerProcess, type WorkerProcess } from '../../support/worker-process.ts';
import { type Canaries, createCanaries } from '../search/canaries.ts';
import { type ApiServer, startApiServer } from './api-server.ts';
import { type NamedHosts, nameHosts } from './named-hosts.ts';
import { createScripts, type Scripts } from './scripts.ts';
import { createTalk, type Talk } from './talk.ts';
import { startTellingMcpServer } from './telling-mcp-server.ts';

/** Names of the world's servers, all on this machine. */
const HOSTS = {
  'api.test': '127.0.0.1',
  'elsewhere.test': '127.0.0.1',
  'forbidden.test': '127.0.0.1',
  'git.test': '127.0.0.1',
  'mcp.test': '127.0.0.1',
  'moving.test': '127.0.0.1',
  'metadata.test': '169.254.169.254',
  'kubernetes.test': '10.96.0.1',
} as const;
const LOOPBACK = '127.0.0.0/8';

/** Everything that a session with credentials meets, on real parts, with a canary in each credential. */
export interface VaultWorld extends Talk {
  readonly folder: string;
  readonly stateFolder: string;
  readonly canaries: Canaries;
  readonly secrets: Secrets;
  readonly temporal: DevServer;
  readonly connection: Connection;
  readonly client: Client;
  readonly log: LogReader;
  readonly model: RehearsalServer;
  readonly scripts: Scripts;
  readonly hosts: NamedHosts;
  readonly tokens: TokenEndpoint;
  readonly mcp: OwnMcpServer;
  /** Access tokens that the MCP server takes no more. */
  readonly expired: Set<string>;
  readonly bearerMcp: OwnMcpServer;
  readonly git: GitTestServer;
  readonly api: ApiServer;
  /** Where nothing secret may arrive. */
  readonly elsewhere: ApiServer;
  readonly worker: WorkerProcess;
  readonly variables: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

export type Secrets = Readonly<
  Record<'bearer' | 'client' | 'variable' | 'git' | 'model' | 'vault', string>
>;

export interface WorldOptions {
  /** Says where the vault is, given the token that the worker is to show to it. */
  vault(vaultToken: string, folder: string): Promise<Readonly<Record<string, string>>>;
}

export async function startVaultWorld(options: WorldOptions): Promise<VaultWorld> {
  await using closing = new AsyncDisposableStack();
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'drv-')));
  closing.defer(() => rmSync(folder, { recursive: true, force: true }));
  const stateFolder = join(folder, 'state');
  mkdirSync(join(folder, 'temporal'));
  const canaries = createCanaries();
  const secrets = makeSecrets(canaries);
  const servers = await startServers(canaries, secrets, closing);
  const scripts = createScripts();
  const model = await startRehearsalServer({ player: scripts.player, apiKey: secrets.model });
  closing.defer(() => model.close());
  const temporal = await startDevServer([], join(folder, 'temporal'));
  closing.defer(() => temporal.stop());
  const connection = await Connection.connect({ address: temporal.address });
  closing.defer(() => connection.close());
  const hosts = nameHosts(folder, HOSTS);
  const variables = {
    ...(await options.vault(secrets.vault, folder)),
    DROVER_STATE_FOLDER: stateFolder,
    DROVER_VAULT_PRIVATE_NETWORKS: LOOPBACK,
    DROVER_EGRESS_PRIVATE_NETWORKS: LOOPBACK,
    TEMPORAL_ADDRESS: temporal.address,
    ANTHROPIC_API_KEY: secrets.model,
    ANTHROPIC_BASE_URL: model.url,
    NODE_EXTRA_CA_CERTS: servers.api.caPath,
  };
  const bundle = await loadWorkflowBundle(BUNDLE_CACHE);
  cpSync(bundle, join(stateFolder, 'cache', basename(bundle)));
  closing.defer(() => releaseAll(stateFolder));
  const worker = await startWorkerProcess(variables, hosts.wrap);
  closing.defer(() => worker.stop());
  const dataConverter = { payloadConverterPath: PAYLOAD_CONVERTER_PATH };
  const client = new Client({ connection, dataConverter });
  const log = createLogReader({
    service: connection.workflowService,
    namespace: 'default',
  });
  const owned = closing.move();
  return {
    ...{
      folder,
      stateFolder,
      canaries,
      secrets,
      temporal,
      connection,
      client,
      log,
      model,
      scripts,
    },
    ...{ hosts, worker, variables, ...servers },
    ...createTalk(client, log),
    close: () => owned.disposeAsync(),
  };
}

export function makeSecrets(canaries: Canaries): Secrets {
  return {
    bearer: canaries.make('static bearer'),
    client: canaries.make('client secret'),
    variable: canaries.make('environment variable'),
    git: canaries.make('git'),
    model: canaries.make('model key'),
    vault: canaries.make('vault token'),
  };
}

/** What credentials are for. */
export type Servers = Pick<
  VaultWorld,
  'tokens' | 'mcp' | 'expired' | 'bearerMcp' | 'git' | 'api' | 'elsewhere'
>;

export async function startServers(
  canaries: Canaries,
  secrets: Secrets,
  closing: AsyncDisposableStack,
): Promise<Servers> {
  const tokens = await startTokenEndpoint({
    form: { client_id: 'drover', client_secret: secrets.client },
    makeToken: (kind) => canaries.make(kind === 'at' ? 'access token' : 'refresh token'),
  });
  closing.defer(() => tokens.close());
  const elsewhere = await startApiServer(secrets.variable, 'DNS:elsewhere.test');
  closing.defer(() => elsewhere.close());
  const api = await startApiServer(
    secrets.variable,
    'DNS:api.test,DNS:elsewhere.test,DNS:forbidden.test',
  );
  closing.defer(() => api.close());
  const leadsTo = `http://elsewhere.test:${elsewhere.plainPort}/mcp`;
  const expired = new Set<string>();
  const mcp = await startTellingMcpServer({
    isGood: (token) => token === tokens.accessToken && !expired.has(token),
    elsewhere: leadsTo,
  });
  closing.defer(() => mcp.stop());
  const bearerMcp = await startTellingMcpServer({
    isGood: (token) => token === secrets.bearer,
    elsewhere: leadsTo,
  });
  closing.defer(() => bearerMcp.stop());
  const git = await startGitServer({ username: 'x-access-token', secret: secrets.git });
  closing.defer(() => git.close());
  return { tokens, mcp, expired, bearerMcp, git, api, elsewhere };
}
