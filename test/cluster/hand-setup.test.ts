import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { V1Job } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubernetesProvider } from '../../activities/hands/kubernetes/kubernetes-provider.ts';
import type { HandCluster } from '../../k8s/hand-cluster.ts';
import type { EnvironmentInput } from '../../protocol/environment.ts';
import { FAILURE } from '../../protocol/failure.ts';
import { type SessionResourceInput, SessionResourceSpecs } from '../../protocol/resource.ts';
import { createDirectoryStore } from '../../store/directory-store.ts';
import { folderUrl } from '../../store/open-store.ts';
import { fileIdOf, fileKey } from '../../store/places.ts';
import type { Store } from '../../store/store.ts';
import { waitFor } from '../support/wait-for.ts';
import { type TestHand, toProvisionInput, toTestHand, useClusterHands } from './cluster-hands.ts';
import { startGitServer } from './git-server.ts';
import { describeCluster, SANDBOX_IMAGE } from './test-cluster.ts';

const CHILD = fileURLToPath(new URL('./worker-child.ts', import.meta.url));
/** Built from `images/managers.Dockerfile`. */
const MANAGERS_IMAGE = process.env['DROVER_TEST_IMAGE_MANAGERS'] ?? 'drover-test/managers:1';
const ONLINE = { networking: { type: 'unrestricted' as const } };

interface Wanted {
  readonly environment?: EnvironmentInput;
  readonly resources?: readonly SessionResourceInput[];
  readonly session?: string;
}

describeCluster('what is put into a new hand', (cluster) => {
  const hands = useClusterHands(cluster);
  let folder: string;
  let store: Store;
  let server: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'drover-setup-test-'));
    store = createDirectoryStore(folderUrl(folder), folder);
    server = await startGitServer(cluster());
  }, 90_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const toInput = ({ environment = {}, resources = [], session }: Wanted) => ({
    ...toProvisionInput({ environment, ...(session === undefined ? {} : { session }) }),
    resources: SessionResourceSpecs.parse(resources),
  });

  async function provision(wanted: Wanted, given?: KubernetesProvider): Promise<TestHand> {
    const provider = given ?? (await hands.worker({ store }));
    const input = toInput(wanted);
    const { instance } = await provider.provision(input);
    const hand = { ...input.hand, provider: 'kubernetes', instance };
    hands.releaseLater(hand);
    return toTestHand(provider, hand);
  }

  const jobs = async (): Promise<readonly V1Job[]> => {
    const path = `/apis/batch/v1/namespaces/${cluster().namespace}/jobs`;
    return (await cluster().admin.get<{ items: readonly V1Job[] }>(path)).items;
  };

  /** What a failed provisioning says; its pod must be going already when it is said. */
  async function failure(wanted: Wanted): Promise<unknown> {
    const error = await provision(wanted).then(
      () => expect.fail('it was provisioned'),
      (reason: unknown) => reason,
    );
    expect(
      (await jobs()).filter(({ metadata }) => metadata?.deletionTimestamp === undefined),
    ).toEqual([]);
    return error;
  }

  const setupFailed = (message: string) => ({
    type: FAILURE.sandboxSetupFailed,
    nonRetryable: true,
    message: expect.stringContaining(message),
  });

  describe('packages', () => {
    test('of pip and npm → commands find them', async () => {
      const packages = { pip: ['six==1.16.0', 'cowsay'], npm: ['semver@7.6.0'] };
      const hand = await provision({ environment: { ...ONLINE, config: { packages } } });
      const { text } = await hand.bash(
        'python3 -c "import six; print(six.__version__)"; command -v cowsay; semver 1.2.3 --increment; ' +
          'node -e "console.log(typeof require(\'semver\').valid)"',
      );
      expect(text).toBe('1.16.0\n/home/drover/.local/bin/cowsay\n1.2.4\nfunction');
    }, 240_000);

    test.each([
      ['cargo', ['drover-crate'], 'drover-crate'],
      ['gem', ['drover-gem:1.0.0'], 'drover-gem'],
      ['go', ['rsc.io/hello@v1.0.0'], 'hello | wc -l'],
    ])(
      'of %s, in an image that has it → commands find them',
      async (manager, names, command) => {
        const config = { image: MANAGERS_IMAGE, memory_mib: 2048, packages: { [manager]: names } };
        const hand = await provision({ environment: { ...ONLINE, config } });
        expect(await hand.bash(command)).toEqual({ text: '1', is_error: false });
      },
      240_000,
    );

    test('that do not exist → the words of the manager, and no pod stays', async () => {
      const packages = { pip: ['drover-no-such-package-at-all'] };
      expect(await failure({ environment: { ...ONLINE, config: { packages } } })).toMatchObject(
        setupFailed('pip could not install drover-no-such-package-at-all: '),
      );
    });

    test('of a manager that the image lacks → which, and where an image is named', async () => {
      const packages = { cargo: ['ripgrep'] };
      expect(await failure({ environment: { ...ONLINE, config: { packages } } })).toMatchObject(
        setupFailed('config.packages.cargo needs cargo, which the image of this sandbox lacks'),
      );
      const config = { image: MANAGERS_IMAGE, packages: { pip: ['six'] } };
      expect(await failure({ environment: { ...ONLINE, config } })).toMatchObject(
        setupFailed('config.packages.pip needs python3 with pip'),
      );
    });

    test.each<[string, EnvironmentInput, RegExp]>([
      [
        'of apt',
        { ...ONLINE, config: { packages: { apt: ['jq'] } } },
        /apt needs root.*config.image/,
      ],
      [
        'without a network',
        { config: { packages: { pip: ['six'], npm: ['semver'] } } },
        /packages.npm and config.packages.pip cannot be installed without a network; set networking/,
      ],
    ])('%s → refused before anything is made', async (_what, environment, message) => {
      let made = 0;
      const through = (inner: HandCluster): HandCluster => ({
        ...inner,
        createJob: (job) => {
          made += 1;
          return inner.createJob(job);
        },
      });
      const provider = await hands.worker({ through });
      await expect(provision({ environment }, provider)).rejects.toMatchObject({
        type: FAILURE.sandboxUnsupportedConfig,
        nonRetryable: true,
        message: expect.stringMatching(message),
      });
      expect(made).toBe(0);
    });
  });

  describe('a repository', () => {
    const repository = (more: object = {}, path = '/repository.git') => ({
      environment: ONLINE,
      resources: [{ type: 'github_repository' as const, url: `${server}${path}`, ...more }],
    });

    test('→ cloned to its place, at the default branch', async () => {
      const hand = await provision(repository());
      const { text } = await hand.bash(
        'cd repository && cat file.txt && git status --short --branch && git log --oneline | wc -l',
      );
      expect(text).toBe('second\n## main...origin/main\n2');
      expect((await hand.run('read', { file_path: 'repository/file.txt' })).text).toContain(
        'second',
      );
    });

    test('a branch, a commit, another place → so', async () => {
      const sha = (
        await (await hands.provision({ environment: ONLINE })).bash(`curl -s ${server}/first`)
      ).text;
      const resources = [
        { checkout: { type: 'branch', name: 'feature/one' }, mount_path: '/workspace/branch' },
        { checkout: { type: 'commit', sha }, mount_path: '/home/drover/a/commit' },
      ].map((more) => repository(more).resources[0] as SessionResourceInput);
      const hand = await provision({ environment: ONLINE, resources });
      const { text } = await hand.bash(
        'cat branch/file.txt ~/a/commit/file.txt; git -C branch branch --show-current; git -C ~/a/commit rev-parse HEAD',
      );
      expect(text).toBe(`third\nfirst\nfeature/one\n${sha}`);
    });

    test.each<[string, object, string, string]>([
      ['that is not there', {}, '/none.git', 'not found'],
      [
        'without that branch',
        { checkout: { type: 'branch', name: 'none' } },
        '/repository.git',
        'branch none not found',
      ],
      [
        'without that commit',
        { checkout: { type: 'commit', sha: 'a'.repeat(40) } },
        '/repository.git',
        'aaaa',
      ],
      ['at a place that cannot be written', { mount_path: '/opt/x' }, '/repository.git', '/opt/x'],
    ])('%s → the words of Git, and no pod stays', async (_what, more, path, message) => {
      const error = await failure(repository(more, path));
      expect(error).toMatchObject(setupFailed(message));
      expect(error).toMatchObject(setupFailed(`Repository ${server}${path} could not be cloned: `));
    });

    test('in the image itself → needs no network', async () => {
      const hand = await provision({
        environment: { config: { image: MANAGERS_IMAGE } },
        resources: [
          { type: 'github_repository', url: 'file:///srv/repository', mount_path: '/workspace/r' },
        ],
      });
      expect((await hand.bash('cat r/origin.txt')).text).toBe('local');
    });

    test('without a network → refused, naming it', async () => {
      await expect(provision({ ...repository(), environment: {} })).rejects.toMatchObject({
        type: FAILURE.sandboxUnsupportedConfig,
        message: expect.stringContaining(
          `${server}/repository.git cannot be cloned without a network`,
        ),
      });
    });

    test('its worker killed in mid-clone → the next attempt attaches, and it is cloned once', async () => {
      const probe = await hands.provision({ environment: ONLINE });
      const clones = async (): Promise<number> =>
        Number((await probe.bash(`curl -s ${server}/clones`)).text);
      const before = await clones();
      const wanted = { ...repository({}, '/slow/repository.git'), session: crypto.randomUUID() };
      const { workerKubeconfig: kubeconfig, namespace } = cluster();
      const order = { kubeconfig, namespace, image: SANDBOX_IMAGE, provision: toInput(wanted) };
      const child = spawn(process.execPath, [CHILD, JSON.stringify(order)], { stdio: 'ignore' });
      const hasBegun = async (): Promise<boolean> => (await clones()) > before;
      await waitFor('the clone to begin', hasBegun, 60_000);
      child.kill('SIGKILL');
      await once(child, 'close');
      const hand = await provision(wanted);
      expect((await hand.bash('cat repository/file.txt')).text).toBe('second');
      expect(await clones()).toBe(before + 1);
    });
  });

  describe('a file', () => {
    async function put(content: Buffer): Promise<string> {
      const name = `file_${randomBytes(8).toString('hex')}`;
      await store.put(fileKey(name), Readable.from([content]));
      return name;
    }

    test('→ at its place, whole and for reading; what the session gives has a folder too', async () => {
      const content = randomBytes(20 * 1024 * 1024 + 7);
      const [large, empty] = [await put(content), await put(Buffer.alloc(0))];
      const hand = await provision({
        resources: [
          { type: 'file', file_id: large },
          { type: 'file', file_id: empty, mount_path: '/workspace/a b/empty' },
        ],
      });
      const path = `/mnt/session/uploads/${large}`;
      const { createHash } = await import('node:crypto');
      const { text } = await hand.bash(
        `sha256sum < ${path} | cut -c1-64; stat -c %a ${path}; wc -c < "a b/empty"; ls -A "a b"; ` +
          'echo mine > /mnt/session/outputs/report && cat /mnt/session/outputs/report',
      );
      const hash = createHash('sha256').update(content).digest('hex');
      expect(text).toBe(`${hash}\n444\n0\nempty\nmine`);
      const again = await (await hands.worker({ store })).provision({
        ...toInput({ session: hand.instance.session_id }),
        resources: SessionResourceSpecs.parse([{ type: 'file', file_id: large }]),
      });
      expect(again.instance).toBe(hand.instance.instance);
      expect((await hand.bash(`sha256sum < ${path} | cut -c1-64`)).text).toBe(hash);
    });

    test('within a repository of the session → both', async () => {
      const file_id = await put(Buffer.from('data'));
      const hand = await provision({
        environment: ONLINE,
        resources: [
          { type: 'file', file_id, mount_path: '/workspace/repository/data/x.txt' },
          { type: 'github_repository', url: `${server}/repository.git` },
        ],
      });
      expect((await hand.bash('cat repository/data/x.txt repository/file.txt')).text).toBe(
        'datasecond',
      );
    });

    test('that the store lacks → its id, and no pod stays', async () => {
      const resources = [{ type: 'file' as const, file_id: fileIdOf('0'.repeat(64)) }];
      expect(await failure({ resources })).toMatchObject(
        setupFailed(`File ${fileIdOf('0'.repeat(64))} is not in the store ${store.url}`),
      );
    });

    test('at a place that cannot be written → where it can be', async () => {
      const file_id = await put(Buffer.from('data'));
      const resources = [{ type: 'file' as const, file_id, mount_path: '/opt/data' }];
      expect(await failure({ resources })).toMatchObject(setupFailed('choose one in /workspace'));
    });
  });
});
