import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEgressFolder } from '../../egress/authority-file.ts';
import { getSession } from '../../protocol/messages.ts';
import { calls } from '../../rehearsal/script.ts';
import { folderUrl, openStore } from '../../store/open-store.ts';
import { freePort } from '../support/dev-server.ts';
import { openTestBucket, type TestBucket, withS3 } from '../support/test-bucket.ts';
import { waitFor } from '../support/wait-for.ts';
import { startWorkerProcess } from '../support/worker-process.ts';
import { createCanaries } from '../vault/search/canaries.ts';
import { folderPlaces } from '../vault/search/folder-places.ts';
import { type Hit, searchPlaces } from '../vault/search/search-places.ts';
import { keepCredentials } from '../vault/world/credentials.ts';
import { keepAnswers, sessionInput, useApi, useGit } from '../vault/world/hand-scripts.ts';
import { MCP_TOOLS } from '../vault/world/telling-mcp-server.ts';
import { startVaultWorld, type VaultWorld } from '../vault/world/vault-world.ts';
import { letReach } from './near-gateway.ts';
import {
  describeCluster,
  expectNothingLeft,
  SANDBOX_IMAGE,
  type TestCluster,
} from './test-cluster.ts';

// Every credential is a canary. A session uses them all in a pod, with servers that say again what they
// are told, and falls asleep; what is kept of its hand is unpacked and searched. Words that it plants
// itself must be found there.

const TEST_MS = 240_000;
const ARCHIVE = 'archive';
/** What a snapshot begins with. */
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const planted = createCanaries();
const PLAIN = planted.make('in a file');
const COMMITTED = planted.make('in a commit');
const ENCODED = planted.make('encoded');
const ESCAPED = planted.make('escaped');

const PLANT = `cd /workspace; cat > plain.txt <<'END'
${PLAIN}
END
base64 -w 0 > encoded.txt <<'END'
${ENCODED}
END
cat > escaped.txt <<'END'
${Buffer.from(ESCAPED).toString('hex').toUpperCase().replace(/../g, '%$&')}
END
cd work && cat > planted.txt <<'END'
${COMMITTED}
END
git add planted.txt && git -c user.name=a -c user.email=a@b commit -qm planted
rm planted.txt && git gc --quiet; echo planted with $?`;

describeCluster('what is kept of a hand with credentials', (cluster) => {
  const folder = mkdtempSync(join(tmpdir(), 'drover-snapshots-'));
  let world: VaultWorld;

  beforeAll(async () => {
    const proxy = await letReach(cluster(), await freePort());
    world = await startVaultWorld({
      async vault(_token, at) {
        const vault = join(at, 'vault');
        mkdirSync(vault);
        return { DROVER_VAULT: pathToFileURL(vault).href, ...variablesOf(cluster(), proxy, at) };
      },
    });
    await keepCredentials(world);
    world.git.addRepository('work');
    const mcp = ['oauth', 'bearer'].map((server) =>
      MCP_TOOLS.map((tool) => calls(`mcp__${server}__${tool}`, { word: PLAIN })),
    );
    const commands = [useApi(world), useGit('work'), keepAnswers(world), PLANT];
    const steps = commands.map((command) => [calls('bash', { command })]);
    world.scripts.set('use', [...mcp, ...steps]);
  }, TEST_MS);
  afterAll(async () => {
    await world?.close();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  /** Has a session use everything and fall asleep, and searches what a store has of it then. */
  async function expectOnlyPlanted(id: string, url: string): Promise<void> {
    const input = sessionInput(world, 'use') as { readonly environment: object };
    const environment = { ...input.environment, provider: 'kubernetes', idle_release_seconds: 1 };
    world.git.git('work', 'update-ref', '-d', 'refs/heads/drover/change');
    await world.start(id, { ...input, environment });
    await world.untilIdle(id);
    const results = (await world.results(id)).join('\n');
    for (const said of ['welcome', 'You are known', 'pushed with 0', 'kept', 'planted with 0']) {
      expect(results).toContain(said);
    }
    const handle = world.client.workflow.getHandle(id);
    const isAsleep = async (): Promise<boolean> =>
      Object.keys((await handle.query(getSession)).hands).length === 0;
    await waitFor(`${id} to sleep`, isAsleep, 90_000);
    const unpacked = join(folder, id);
    await unpack(url, unpacked);
    const places = folderPlaces(unpacked, '');
    expect(await searchPlaces(world.canaries, places)).toEqual([]);
    expectFound(await searchPlaces(planted, places));
    await handle.cancel();
    await handle.result().catch(() => {});
    await expectNothingLeft(cluster());
  }

  function expectFound(hits: readonly Hit[]): void {
    const found = (canary: string, place: RegExp, encoding: RegExp) =>
      expect(hits).toContainEqual(
        expect.objectContaining({
          canary,
          place: expect.stringMatching(place),
          encoding: expect.stringMatching(encoding),
        }),
      );
    found('in a file', /\/plain\.txt$/, /^plain$/);
    found('encoded', /\/encoded\.txt$/, /^base64/);
    found('escaped', /\/escaped\.txt$/, /escaped for a URL$/);
    found('in a commit', /^objects of .*\/work\/\.git$/, /^plain$/);
    found('in a file', new RegExp(`^${ARCHIVE}$`), /^compressed, plain$/);
  }

  test(
    'in a folder → no credential, and what is planted',
    async () => {
      const url = folderUrl(join(world.stateFolder, 'store'));
      await expectOnlyPlanted('session-kept-in-a-folder', url);
    },
    TEST_MS,
  );

  withS3('what is kept in a bucket', () => {
    let bucket: TestBucket;
    beforeAll(async () => {
      bucket = await openTestBucket();
    });
    afterAll(() => bucket?.remove());

    test(
      'in a bucket → no credential, and what is planted',
      async () => {
        await world.worker.stop();
        const variables = { ...world.variables, ...bucket.variables, DROVER_STORE: bucket.url };
        const worker = await startWorkerProcess(variables, world.hosts.wrap);
        try {
          await expectOnlyPlanted('session-kept-in-a-bucket', bucket.url);
        } finally {
          await worker.stop();
        }
      },
      TEST_MS,
    );
  });
});

function variablesOf(
  { workerKubeconfig, namespace }: TestCluster,
  proxy: { readonly host: string; readonly port: number },
  folder: string,
): Readonly<Record<string, string>> {
  const keys = join(folder, 'egress');
  return {
    KUBECONFIG: workerKubeconfig,
    DROVER_KUBERNETES_NAMESPACE: namespace,
    DROVER_SANDBOX_IMAGE: SANDBOX_IMAGE,
    DROVER_EGRESS_PORT: String(proxy.port),
    DROVER_EGRESS_PROXY: `${proxy.host}:${proxy.port}`,
    DROVER_EGRESS_KEYS: openEgressFolder(keys),
  };
}

/** Everything that a store has of workspaces: as it lies there, and archives unpacked beside it. */
async function unpack(url: string, to: string): Promise<void> {
  mkdirSync(to, { recursive: true });
  const store = await openStore(url);
  let archives = 0;
  for await (const { key } of store.list('workspaces/')) {
    const blob = await store.get(key);
    if (blob === undefined) throw new Error(`${key} is gone`);
    const bytes = await buffer(blob);
    const isArchive = bytes.subarray(0, ZSTD.length).equals(ZSTD);
    writeFileSync(join(to, isArchive ? ARCHIVE : basename(key)), bytes);
    if (!isArchive) continue;
    archives += 1;
    const inside = join(to, 'unpacked');
    mkdirSync(inside);
    const input = zstdDecompressSync(bytes);
    execFileSync('tar', ['--extract', '--file', '-', '--directory', inside], { input });
  }
  expect(archives).toBe(1);
}
