import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { LABEL } from '../../k8s/hand-labels.ts';
import type { EnvironmentInput } from '../../protocol/environment.ts';
import {
  CERTIFICATE,
  HOST,
  KEYS,
  PLACEHOLDER,
  VALUE,
  VARIABLE,
  VariableGateway,
} from '../support/variable-gateway.ts';
import { waitFor } from '../support/wait-for.ts';
import { type TestHand, toProvisionInput, useClusterHands } from './cluster-hands.ts';
import { letReach } from './near-gateway.ts';
import { describeCluster } from './test-cluster.ts';

// The gateway and the server behind it run where the suite does; pods reach the gateway alone.

describeCluster('a variable of a vault, in a pod', (cluster) => {
  const hands = useClusterHands(cluster);
  const gateway = new VariableGateway('0.0.0.0');
  let proxy: Awaited<ReturnType<typeof letReach>>;

  beforeAll(async () => {
    await gateway.startServer();
    await gateway.start();
    proxy = await letReach(cluster(), gateway.port);
  }, 60_000);
  afterAll(async () => {
    await gateway.stop();
    await gateway.stopServer();
  });
  beforeEach(() => {
    gateway.heard = [];
  });

  async function provision(networking: EnvironmentInput['networking']): Promise<TestHand> {
    const provider = await hands.worker({
      egress: {
        proxy,
        readKeys: () => KEYS,
        readCertificate: () => CERTIFICATE,
      },
    });
    const made = await hands.make(provider, {
      ...toProvisionInput({ environment: { networking } }),
      grants: { variables: [VARIABLE] },
    });
    // Policies take a moment to know a new pod.
    await waitFor('the gateway to be reached', async () => {
      const { text } = await made.bash(`curl -sS -m 5 -o /dev/null ${tls()} 2>&1 && echo reached`);
      return text.includes('reached');
    });
    gateway.heard = [];
    return made;
  }

  const tls = () => `https://${HOST}:${gateway.tlsPort}/`;

  test('the host has the value, the pod the placeholder, by its usual programs', async () => {
    const hand = await provision({ type: 'unrestricted' });
    const node = `node -e 'fetch("${tls()}", {headers: {authorization: "Bearer " + process.env.API_TOKEN}}).then(async (answer) => console.log(await answer.text()))'`;
    const python = `python3 -c 'import os, urllib.request as r; print(r.urlopen(r.Request("${tls()}", headers={"Authorization": "Bearer " + os.environ["API_TOKEN"]})).read().decode())'`;
    const git = `git -c http.extraHeader="Authorization: Bearer $API_TOKEN" ls-remote ${tls()}`;
    for (const command of [
      `curl -sS -H "Authorization: Bearer $API_TOKEN" ${tls()}`,
      node,
      python,
      `${git} 2>&1; true`,
    ]) {
      gateway.heard = [];
      const { text } = await hand.bash(command);
      expect(text).not.toMatch(/certificate/i);
      expect(text).not.toContain('c4n4ry');
      expect(gateway.heard[0]?.headers.authorization).toBe(`Bearer ${VALUE}`);
    }
    const seen = await hand.bash(
      'cat /proc/[0-9]*/environ 2>/dev/null | tr "\\0" "\\n"; cat /run/drover/configuration.json',
    );
    expect(seen.text).toContain(`API_TOKEN=${PLACEHOLDER}`);
    expect(seen.text).not.toContain('c4n4ry');
  }, 120_000);

  test('its network is unrestricted → it leaves by the gateway alone', async () => {
    const hand = await provision({ type: 'unrestricted' });
    const [pod] = await hands.podsOf(hand.instance);
    expect(pod?.metadata?.labels?.[LABEL.network]).toBe('limited');
    const { text } = await hand.bash(
      `curl -sS -m 3 --noproxy '*' http://${proxy.host}:${gateway.plainPort}/ 2>&1`,
    );
    expect(text).toMatch(/curl: \(\d+\)/);
    expect(gateway.heard).toEqual([]);
  }, 120_000);

  test('the token of one pod in another → refused', async () => {
    const [one, other] = [
      await provision({ type: 'unrestricted' }),
      await provision({ type: 'unrestricted' }),
    ];
    const { text: proxy } = await one.bash('echo -n $HTTPS_PROXY');
    const stolen = await other.bash(`curl -sSi -m 5 -x ${proxy} ${tls()} 2>&1`);
    expect(stolen.text).toContain('403 the token is that of another hand');
    expect(gateway.heard).toEqual([]);
  }, 120_000);
});
