import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RehearsalServer, startRehearsalServer } from '../../rehearsal/server.ts';
import { serveFolder, startUpstream } from '../support/egress-upstream.ts';
import { type Canaries, createCanaries } from '../vault/search/canaries.ts';
import { credentialsFor, goodValues, type KeptValues } from '../vault/world/credentials.ts';
import { createScripts, type Scripts } from '../vault/world/scripts.ts';
import {
  makeSecrets,
  type Secrets,
  type Servers,
  startServers,
} from '../vault/world/vault-world.ts';
import { type ComposeStack, createStack } from './compose-stack.ts';
import { createSuiteNetwork } from './suite-network.ts';

// The compose file as it is, and beside it, in this process, all that a session with credentials
// meets, with a canary in each credential.

const HOSTS = ['api', 'elsewhere', 'git', 'mcp', 'model', 'packages'].map((name) => `${name}.test`);
const IMAGE = 'drover/worker:0.1.0';
const GO_OUT = ['worker-brain', 'worker-vault', 'gateway'];
const PACKAGE = 'probe-1.0.0.tgz';

export interface ComposeWorld extends Servers {
  readonly folder: string;
  readonly canaries: Canaries;
  readonly secrets: Secrets;
  readonly scripts: Scripts;
  readonly model: RehearsalServer;
  readonly stack: ComposeStack;
  /** Address of a package for npm, whose program prints `probed`, and of one that is not there. */
  readonly packages: { readonly host: string; readonly url: string; readonly missingUrl: string };
  /** Starts the stack, and brings it and the servers together. */
  up(changed?: Readonly<Record<string, string>>): Promise<void>;
  /** Makes vault `team` with one credential of each kind, as the documents say. */
  keepCredentials(): Promise<void>;
  close(): Promise<void>;
}

export async function startComposeWorld(project: string, hands: number): Promise<ComposeWorld> {
  await using closing = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'drover-compose-'));
  closing.defer(() => rmSync(folder, { recursive: true, force: true }));
  const canaries = createCanaries();
  const secrets = makeSecrets(canaries);
  const servers = await startServers(canaries, secrets, closing);
  const scripts = createScripts();
  const model = await startRehearsalServer({ player: scripts.player, apiKey: secrets.model });
  closing.defer(() => model.close());
  const npm = await servePackage(folder, closing);
  const name = `${project}-suite`;
  const ports = [...portsOf(servers), npm.port, portOf(model)];
  const network = await createSuiteNetwork({ name, hosts: HOSTS, ports, image: IMAGE });
  closing.defer(() => network.close());
  const stack = await createStack(project, {
    DROVER_HANDS: String(hands),
    ANTHROPIC_BASE_URL: `http://model.test:${portOf(model)}`,
    ANTHROPIC_API_KEY: secrets.model,
    DROVER_EGRESS_PRIVATE_NETWORKS: network.subnet,
    DROVER_VAULT_PRIVATE_NETWORKS: network.subnet,
    NODE_EXTRA_CA_CERTS: servers.api.caPath,
  });
  closing.defer(() => stack.compose('down', '--volumes', '--timeout', '5').then(() => {}));
  const owned = closing.move();
  return {
    ...{ folder, canaries, secrets, scripts, model, stack, ...servers, packages: npm.packages },
    async up(changed) {
      await stack.up(changed);
      const containers = await stack.containers();
      await network.join(containers.filter(({ service }) => GO_OUT.includes(service)));
    },
    keepCredentials: () => keepCredentials(stack, servers, goodValues({ secrets, ...servers })),
    close: () => owned.disposeAsync(),
  };
}

function portsOf({ git, mcp, bearerMcp, tokens, api, elsewhere }: Servers): readonly number[] {
  const tls = [api, elsewhere].flatMap(({ tlsPort, plainPort }) => [tlsPort, plainPort]);
  return [git.port, mcp.port, bearerMcp.port, portOf(tokens), ...tls];
}

function portOf({ url }: { readonly url: string }): number {
  return Number(new URL(url).port);
}

/** With the login of the vault's worker. */
async function keepCredentials(
  stack: ComposeStack,
  servers: Servers,
  values: KeptValues,
): Promise<void> {
  const drover = (input: string, ...words: readonly string[]): Promise<string> =>
    stack.pipe(
      input,
      ...['worker-vault', '/compose/with-vault-login', 'node', 'client/command-line/main.ts'],
      ...words,
    );
  await drover('', 'vaults', 'create', 'team');
  for (const { id, auth, value } of credentialsFor(servers, values)) {
    await drover(value, 'credentials', 'create', 'team', id, JSON.stringify(auth));
  }
}

async function servePackage(folder: string, closing: AsyncDisposableStack) {
  const answer = serveFolder(packFor(folder));
  const { plainPort: port, close } = await startUpstream({
    names: 'DNS:packages.test',
    host: '127.0.0.1',
    answer,
  });
  closing.defer(close);
  const host = `packages.test:${port}`;
  const url = (name: string): string => `http://${host}/${name}`;
  return { port, packages: { host, url: url(PACKAGE), missingUrl: url('none.tgz') } };
}

/** Folder of an archive as npm installs it. */
function packFor(folder: string): string {
  const source = join(folder, 'source', 'package');
  const served = join(folder, 'served');
  for (const path of [source, served]) mkdirSync(path, { recursive: true });
  const manifest = { name: 'drover-probe', version: '1.0.0', bin: { 'drover-probe': 'probe.js' } };
  writeFileSync(join(source, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(source, 'probe.js'), "#!/usr/bin/env node\nconsole.log('probed');\n");
  const archive = join(served, PACKAGE);
  const words = ['--create', '--gzip', '--file', archive, '-C', join(folder, 'source'), 'package'];
  execFileSync('tar', words);
  return served;
}
