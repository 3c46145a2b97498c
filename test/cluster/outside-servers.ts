import { readFileSync } from 'node:fs';
import { openVaultKeeper } from '../../vault/keeper.ts';
import { kvSettings, kvVariables, writePolicy } from '../support/bao.ts';
import { startUpstream, type Upstream } from '../support/egress-upstream.ts';
import { type GitTestServer, startGitServer } from '../support/git-server.ts';
import { startOwnBao } from '../support/own-bao.ts';
import { trustCluster } from './kubernetes-auth.ts';
import { hostOf, type TestCluster } from './test-cluster.ts';

/** What sessions of deployed workers use with credentials: it runs where the suite does. */
export interface OutsideServers {
  readonly git: GitTestServer;
  readonly api: Upstream;
  /** Values of the credentials in vault `team`. */
  readonly values: { readonly git: string; readonly api: string };
  /** What the shipped vault worker and gateway are told of it. */
  readonly reach: OutsideReach;
  readonly gitUrl: string;
  readonly apiUrl: string;
  close(): Promise<void>;
}

export interface OutsideReach {
  /** Of the vault, as a ConfigMap. */
  readonly settings: Readonly<Record<string, string>>;
  readonly vaultPort: number;
  /** Of the servers, at this machine's address. */
  readonly names: readonly string[];
  /** PEM of whom the servers' certificates are. */
  readonly certificate: string;
}

const USERNAME = 'x-access-token';
const VALUES = { git: 'canaryOfTheDeployedGit01', api: 'canaryOfTheDeployedApi01' } as const;
const API = 'api.drover.test';
const GIT = 'git.drover.test';

export async function startOutsideServers(
  binary: string,
  cluster: TestCluster,
): Promise<OutsideServers> {
  await using closing = new AsyncDisposableStack();
  const bao = await startOwnBao(binary);
  closing.defer(() => bao.close());
  const { VAULT_TOKEN: _, ...place } = kvVariables(bao);
  closing.defer(await trustCluster(bao, cluster, await writePolicy(bao, place)));
  const git = await startGitServer({ username: USERNAME, secret: VALUES.git });
  closing.defer(() => git.close());
  const api = await startUpstream({
    names: `DNS:${API}`,
    answer({ headers }, response) {
      response.end(headers.authorization === `Bearer ${VALUES.api}` ? 'welcome\n' : 'who is it?\n');
    },
  });
  closing.defer(() => api.close());
  const gitUrl = `http://${GIT}:${git.port}`;
  const keeper = openVaultKeeper(kvSettings({ ...place, VAULT_TOKEN: bao.token }));
  await keeper.createVault({ id: 'team' });
  const create = (
    id: string,
    auth: Parameters<typeof keeper.createCredential>[0]['auth'],
    value: string,
  ) => keeper.createCredential({ vault_id: 'team', id, auth }, value);
  await create('git', { type: 'git', url: `${gitUrl}/` }, VALUES.git);
  const networking = { type: 'limited' as const, allowed_hosts: [API] };
  const variable = { type: 'environment_variable' as const, secret_name: 'API_KEY', networking };
  await create('api', variable, VALUES.api);
  keeper.close();
  const vaultPort = Number(new URL(bao.address).port);
  const owned = closing.move();
  return {
    ...{ git, api, values: VALUES, gitUrl, apiUrl: `https://${API}:${api.tlsPort}/` },
    reach: {
      settings: { ...place, VAULT_ADDR: `http://${hostOf(cluster)}:${vaultPort}` },
      vaultPort,
      names: [API, GIT],
      certificate: readFileSync(api.caPath, 'utf8'),
    },
    close: () => owned.disposeAsync(),
  };
}
