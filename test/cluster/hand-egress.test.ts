import { readFileSync } from 'node:fs';
import type { V1Job } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubernetesProvider } from '../../activities/hands/kubernetes/kubernetes-provider.ts';
import { signToken } from '../../egress/hand-token.ts';
import { LABEL } from '../../k8s/hand-labels.ts';
import { EnvironmentDefinition } from '../../protocol/environment.ts';
import { type DevServer, startDevServer } from '../support/dev-server.ts';
import { startUpstream, type Upstream } from '../support/egress-upstream.ts';
import { waitFor } from '../support/wait-for.ts';
import { type TestHand, toProvisionInput, toTestHand, useClusterHands } from './cluster-hands.ts';
import { type DeployedEgress, deployEgress } from './deployed-egress.ts';
import { describeCluster, hostOf } from './test-cluster.ts';

// The servers run where the suite does, as those of `workers-in-cluster.test.ts`.

describeCluster('the network of a hand', (cluster) => {
  const hands = useClusterHands(cluster);
  let host: string;
  let api: string;
  let upstream: Upstream;
  let temporal: DevServer;
  let deployed: DeployedEgress;

  beforeAll(async () => {
    const { server } = cluster().admin.access;
    host = hostOf(cluster());
    api = `${server.hostname}:${server.port === '' ? 443 : server.port}`;
    temporal = await startDevServer();
    upstream = await startUpstream({
      names: 'DNS:up.drover.test',
      answer: (_request, response) => response.end('hello\n'),
    });
    deployed = await deployEgress(cluster(), host, {
      [host]: ['up.drover.test', 'api.drover.test'],
      '169.254.169.254': ['metadata.drover.test'],
    });
  }, 180_000);
  afterAll(async () => {
    await upstream?.close();
    await temporal?.stop();
  });

  async function limited(allowed_hosts: string[], given?: KubernetesProvider): Promise<TestHand> {
    const provider = given ?? (await hands.worker({ egress: deployed.egress }));
    const networking = { type: 'limited' as const, allowed_hosts };
    const input = toProvisionInput({ environment: { networking } });
    const made = await hands.make(provider, input);
    await made.run('write', {
      file_path: 'ca.pem',
      content: readFileSync(upstream.caPath, 'utf8'),
    });
    return made;
  }

  const tls = () => `https://up.drover.test:${upstream.tlsPort}/`;
  const plain = () => `http://up.drover.test:${upstream.plainPort}/`;
  const upHosts = () => [
    `up.drover.test:${upstream.tlsPort}`,
    `up.drover.test:${upstream.plainPort}`,
  ];
  const curl = 'curl -sSi -m 10 --cacert ca.pem';
  const reachable = async (hand: TestHand, ...places: readonly string[]): Promise<string[]> => {
    const { text } = await hand.bash(
      `${places.map((place) => `(${dial(place)}) &`).join(' ')} wait`,
    );
    return text.split('\n').filter((line) => line !== '');
  };
  const dial = (place: string) =>
    `timeout 3 bash -c 'echo > /dev/tcp/${place.replace(':', '/')}' 2> /dev/null && echo ${place}`;

  /** Policies take a moment to know a new pod: until then nothing passes. */
  async function untilOpen(hand: TestHand): Promise<void> {
    await waitFor('the proxy to be reached', async () => {
      const { text } = await hand.bash(`${curl} ${plain()}`);
      return text.includes('hello');
    });
  }

  describe('with allowed hosts', () => {
    test('an allowed host → passes, by the names and clients that a session uses', async () => {
      const hand = await limited(upHosts());
      await untilOpen(hand);
      expect((await hand.bash(`${curl} ${tls()}`)).text).toMatch(/200 OK.*hello/s);
      const fetching = `fetch('${tls()}').then(async (answer) => console.log(await answer.text()))`;
      const node = `NODE_EXTRA_CA_CERTS=ca.pem node -e "${fetching}"`;
      expect((await hand.bash(node)).text).toBe('hello');
    });

    test('another host → refused in words', async () => {
      const hand = await limited(upHosts());
      await untilOpen(hand);
      const words = "403 host example.com is not in this environment's networking.allowed_hosts";
      const said = async (command: string) => (await hand.bash(command)).text;
      expect(await said(`${curl} https://example.com/`)).toContain(words);
      expect(await said(`${curl} http://example.com/`)).toContain(words);
      expect(await said('git clone -q https://example.com/x')).toContain('response 403');
      const pip = 'python3 -m pip download --retries 1 x --index-url https://example.com/';
      expect(await said(pip)).toContain(`Tunnel connection failed: ${words}`);
      const npm = 'npm view x --registry https://example.com/ --fetch-retries 0';
      expect(await said(npm)).toContain(words);
    });

    test('without the proxy → nothing: no host, no cluster, no names', async () => {
      const hand = await limited(upHosts());
      await untilOpen(hand);
      const temporalPort = temporal.address.split(':')[1];
      const places = [
        `${host}:${upstream.plainPort}`,
        `${host}:${temporalPort}`,
        api,
        '169.254.169.254:80',
        '1.1.1.1:443',
      ];
      expect(await reachable(hand, ...places)).toEqual([]);
      const names = 'getent hosts kubernetes.default.svc || getent hosts up.drover.test; echo $?';
      expect((await hand.bash(`timeout 20 bash -c '${names}' || echo none`)).text).toMatch(
        /^(2|none)$/,
      );
    });

    test('through the proxy → not what is the machine’s or the cluster’s', async () => {
      const temporalPort = temporal.address.split(':')[1];
      const hand = await limited([
        ...upHosts(),
        'metadata.drover.test',
        '169.254.169.254',
        '10.0.0.1',
        'kubernetes.default.svc',
        'drover-egress:3128',
      ]);
      await untilOpen(hand);
      const said = async (url: string) => (await hand.bash(`${curl} ${url}`)).text;
      for (const name of ['metadata.drover.test', '169.254.169.254', '10.0.0.1']) {
        expect(await said(`http://${name}/`)).toContain(`403 host ${name} leads to no public`);
      }
      expect(await said('https://kubernetes.default.svc/')).toContain(
        '403 host kubernetes.default.svc leads to no public address',
      );
      expect(await said('http://drover-egress:3128/')).toContain('leads to no public address');
      expect(await said(`https://${api}/`)).toContain('is not in this environment');
      expect(await said(`http://up.drover.test:${temporalPort}/`)).toContain(
        `403 port ${temporalPort} of host up.drover.test is not in`,
      );
    });

    test('the token of another hand, one that has expired, none → refused', async () => {
      const [own, other] = [await limited(upHosts()), await limited(upHosts())];
      await untilOpen(own);
      await untilOpen(other);
      const proxy = (await own.bash('echo -n $HTTPS_PROXY')).text;
      expect((await own.bash(`${curl} -x ${proxy} ${tls()}`)).text).toContain('hello');
      expect((await other.bash(`${curl} -x ${proxy} ${tls()}`)).text).toContain(
        '403 the token is that of another hand',
      );
      const [pod] = await hands.podsOf(own.instance);
      const expired = signToken(deployed.keys, {
        session: own.instance.session_id,
        chain_id: own.instance.chain_id,
        name: own.instance.name,
        generation: own.instance.generation,
        hand: 'hand',
        addresses: [pod?.status?.podIP ?? ''],
        hosts: upHosts(),
        expires: Math.floor(Date.now() / 1000) - 1,
      });
      const { origin } = new URL(proxy);
      const at = (credentials: string) => `${curl} -x ${origin.replace('//', `//${credentials}`)}`;
      expect((await own.bash(`${at(`hand:${expired}@`)} ${tls()}`)).text).toContain(
        '403 the token of this hand has expired',
      );
      expect((await own.bash(`${at('')} ${tls()}`)).text).toContain(
        '407 this proxy wants the token',
      );
    });

    test('two attempts of two workers → one hand, with one token', async () => {
      const networking = { type: 'limited' as const, allowed_hosts: upHosts() };
      const input = toProvisionInput({ environment: { networking } });
      const [first, second] = [
        await hands.worker({ egress: deployed.egress }),
        await hands.worker({ egress: deployed.egress }),
      ];
      const made = await first.provision(input);
      hands.releaseLater({ ...input.hand, provider: 'kubernetes', instance: made.instance });
      expect((await second.provision(input)).instance).toBe(made.instance);
    });
  });

  test('a hand out of a pool → is let out to its own hosts, by its own token', async () => {
    const { admin, namespace } = cluster();
    const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
    const provider = await hands.worker({ egress: deployed.egress });
    const definition = EnvironmentDefinition.parse({
      provider: 'kubernetes',
      config: { warm_pool_size: 1 },
      networking: { type: 'limited', allowed_hosts: upHosts() },
    });
    const environment = { id: 'pooled', version: 1, definition };
    provider.pools.want({ environments: [environment], isComplete: true });
    await waitFor(
      'a pooled Job to be ready',
      async () => {
        await provider.pools.keep();
        return provider.pools.readyCount() === 1;
      },
      60_000,
    );
    provider.pools.want({ environments: [], isComplete: true });
    const { items } = await admin.get<{ items: readonly V1Job[] }>(jobs, {
      labelSelector: `${LABEL.pool}`,
    });
    const input = { ...toProvisionInput(), environment };
    const { instance } = await provider.provision(input);
    const hand = { ...input.hand, provider: 'kubernetes', instance };
    hands.releaseLater(hand);
    const [pod] = await hands.podsOf(hand);
    expect(items.map(({ metadata }) => metadata?.name)).toContain(
      pod?.metadata?.labels?.['batch.kubernetes.io/job-name'],
    );
    const made = toTestHand(provider, hand);
    await untilOpen(made);
    expect((await made.bash(`${curl} http://example.com/`)).text).toContain('403 host example.com');
  });

  test('no network → not even the proxy', async () => {
    const hand = await hands.provision();
    const open = await limited(upHosts());
    const { proxy } = deployed.egress;
    const place = `${proxy.host}:${proxy.port}`;
    await untilOpen(open);
    expect(await reachable(open, place)).toEqual([place]);
    expect(await reachable(hand, place)).toEqual([]);
    expect((await hand.bash('env | grep -ci _proxy')).text).toBe('0');
  });

  test('unrestricted → names, but no host, cluster, machine or proxy', async () => {
    const hand = await hands.provision({ environment: { networking: { type: 'unrestricted' } } });
    const name = 'getent hosts kubernetes.default.svc';
    await waitFor('names to be resolved', async () => !(await hand.bash(name)).is_error);
    const { proxy } = deployed.egress;
    const places = [
      `${host}:${upstream.plainPort}`,
      `${host}:${temporal.address.split(':')[1]}`,
      api,
      '169.254.169.254:80',
      `${proxy.host}:${proxy.port}`,
    ];
    expect(await reachable(hand, ...places)).toEqual([]);
  });
});
