import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KubernetesProvider } from '../../activities/hands/kubernetes/kubernetes-provider.ts';
import { FAILURE } from '../../protocol/failure.ts';
import { SessionResourceSpecs } from '../../protocol/resource.ts';
import { SecretValue } from '../../vault/secret-value.ts';
import { type GitGateway, startGitGateway } from '../support/git-gateway.ts';
import { type GitTestServer, startGitServer } from '../support/git-server.ts';
import { type TestHand, toProvisionInput, useClusterHands } from './cluster-hands.ts';
import { letReach } from './near-gateway.ts';
import { describeCluster } from './test-cluster.ts';

// The gateway and the Git server run where the suite does; what reaches the server is the gateway alone.

const USERNAME = 'x-access-token';
const SECRET = 'ghs_canaryForPods0123456789';
const IDENTITY = 'git config --global user.name me; git config --global user.email me@me;';

describeCluster('a repository with a credential, in a pod', (cluster) => {
  const hands = useClusterHands(cluster);
  let server: GitTestServer;
  let gateway: GitGateway;
  let proxy: Awaited<ReturnType<typeof letReach>>;

  beforeAll(async () => {
    server = await startGitServer({ username: USERNAME, secret: SECRET });
    gateway = await startGitGateway({ host: '0.0.0.0' });
    const token = new SecretValue(SECRET);
    gateway.secrets.set('git', { type: 'git', url: server.url, username: USERNAME, token });
    proxy = await letReach(cluster(), gateway.port);
  }, 60_000);
  afterAll(async () => {
    await gateway?.close();
    await server?.close();
  });

  const worker = (): Promise<KubernetesProvider> =>
    hands.worker({ egress: { proxy, ...gateway.local } });

  /** Policies take a moment to know a new pod, and the clone is the first that it does. */
  function provision(name: string, provider: KubernetesProvider): Promise<TestHand> {
    return hands.make(provider, {
      ...toProvisionInput({}),
      resources: SessionResourceSpecs.parse([
        {
          type: 'github_repository',
          url: `${server.url}/${name}.git`,
          credential: { vault_id: 'vault', credential_id: 'git' },
          push: { branches: ['drover/*'] },
        },
      ]),
    });
  }

  test('without any other network → cloned, fetched and pushed, and the credential is nowhere in it', async () => {
    server.addRepository('one');
    const hand = await provision('one', await worker());
    expect((await hand.bash('cat one/file.txt')).text).toBe('second');
    const { text } = await hand.bash(
      `${IDENTITY} cd one && echo third > file.txt && git commit -qam third && ` +
        'git push -q origin HEAD:drover/mine 2>&1 && git pull -q 2>&1 && git fetch 2>&1 && git rev-parse HEAD',
    );
    expect(text).toBe(server.git('one', 'rev-parse', 'drover/mine'));
    const refused = await hand.bash(
      'git push origin HEAD:main 2>&1; git push -f origin HEAD~1:drover/mine 2>&1',
    );
    expect(refused.text).toMatch(/remote: drover: .*may not push branch main/);
    expect(refused.text).toMatch(
      /! \[remote rejected\] HEAD~1 -> drover\/mine \(.*non-fast-forward/,
    );
    const encoded = Buffer.from(`${USERNAME}:${SECRET}`).toString('base64');
    const found = await hand.bash(
      `env | grep -c -e ${SECRET} -e ${encoded}; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | grep -c -e "canaryFor[P]ods"; ` +
        'grep -rlE "canaryFor[P]ods" /workspace /home /run/drover/configuration.json 2>/dev/null; true',
    );
    // Neither pattern finds itself on the command line of the search.
    expect(found.text).toBe('0\n0');
  }, 120_000);

  test('the token of one pod in another → refused', async () => {
    server.addRepository('two');
    const provider = await worker();
    const [hand, other] = await Promise.all([
      provision('two', provider),
      provision('two', provider),
    ]);
    const { text: header } = await hand.bash('echo "$GIT_CONFIG_VALUE_1"');
    const stolen = await other.bash(
      `GIT_CONFIG_VALUE_1='${header}' git -C two fetch 2>&1; git -C two fetch && echo on`,
    );
    expect(stolen.text).toMatch(/the token is that of another hand.*on$/s);
  }, 120_000);

  test('a worker without a gateway → refused in words', async () => {
    server.addRepository('three');
    const provider = await hands.worker();
    await expect(provision('three', provider)).rejects.toMatchObject({
      type: FAILURE.sandboxUnsupportedConfig,
      message: expect.stringContaining('DROVER_EGRESS_PROXY'),
    });
  });
});
