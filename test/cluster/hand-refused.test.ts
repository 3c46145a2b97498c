import type { V1Job } from '@kubernetes/client-node';
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { openClusterAccess } from '../../k8s/connection/cluster-access.ts';
import type { HandCluster } from '../../k8s/hand-cluster.ts';
import { toHandJob } from '../../k8s/hand-job.ts';
import { jobName } from '../../k8s/hand-labels.ts';
import { toHandRecipe } from '../../k8s/hand-recipe.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { ProvisionInput } from '../../protocol/hand.ts';
import { waitFor } from '../support/wait-for.ts';
import { toProvisionInput, useClusterHands } from './cluster-hands.ts';
import { describeCluster, expectNothingLeft } from './test-cluster.ts';
import { TEMPORAL } from './test-temporal.ts';

describeCluster('a hand that cannot be made', (cluster) => {
  const hands = useClusterHands(cluster);

  const refusal = (type: string, nonRetryable: boolean, words: string) => ({
    type,
    nonRetryable,
    message: expect.stringMatching(words),
  });

  /** How provisioning was refused, as a whole, so that a surprise shows its words. */
  async function refusalOf(provisioning: Promise<unknown>) {
    const error = await provisioning.then(
      (hand) => expect.fail(`a hand was made: ${JSON.stringify(hand)}`),
      (reason: unknown) => reason,
    );
    if (!(error instanceof ApplicationFailure)) throw error;
    const { type, nonRetryable, message } = error;
    return { type, nonRetryable, message };
  }

  test('its image is missing → says which, no Job is left', async () => {
    const worker = await hands.worker();
    const config = { image: 'registry.invalid/none:1' };
    expect(
      await refusalOf(worker.provision(toProvisionInput({ environment: { config } }))),
    ).toEqual(
      refusal(FAILURE.sandboxImageMissing, true, 'image registry.invalid/none:1 cannot be pulled'),
    );
    await expectNothingLeft(cluster());
  });

  test('an image name that is none → says so', async () => {
    const worker = await hands.worker();
    const config = { image: 'UPPER CASE' };
    expect(
      await refusalOf(worker.provision(toProvisionInput({ environment: { config } }))),
    ).toEqual(refusal(FAILURE.sandboxImageMissing, true, 'UPPER CASE'));
  });

  test('no node is fit for it → retried, and a person can read what it waits for', async () => {
    const worker = await hands.worker({ startMs: 3_000 });
    const config = { node_selector: { 'drover.test/none': 'such' } };
    const reasons: string[] = [];
    const onWaiting = (reason: string): void => void reasons.push(reason);
    expect(
      await refusalOf(
        worker.provision(toProvisionInput({ environment: { config } }), {
          onWaiting,
          abandoned: new AbortController().signal,
        }),
      ),
    ).toEqual(refusal(FAILURE.sandboxUnschedulable, false, 'not in 3 s: no node can take its pod'));
    expect(reasons[0]).toMatch(/no node can take its pod: .*node/);
    await expectNothingLeft(cluster());
  });

  test('a runtime class that is none → the words of the cluster', async () => {
    const worker = await hands.worker();
    const config = { runtime_class_name: 'none-such' };
    expect(
      await refusalOf(worker.provision(toProvisionInput({ environment: { config } }))),
    ).toEqual(refusal(FAILURE.sandboxClusterRefused, true, 'none-such'));
  });

  test('more CPU than one hand may have → the words of the limit', async () => {
    const worker = await hands.worker();
    const config = { cpu_cores: 64 };
    expect(
      await refusalOf(worker.provision(toProvisionInput({ environment: { config } }))),
    ).toEqual(refusal(FAILURE.sandboxClusterRefused, true, 'maximum cpu usage'));
    await expectNothingLeft(cluster());
  });

  test('over the quota of all hands → retried, with the words of the quota', async () => {
    const { admin, namespace } = cluster();
    await admin.create({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'none', namespace },
      spec: { hard: { pods: '0' } },
    });
    const worker = await hands.worker();
    try {
      // The controller that keeps quotas takes a moment to see a new one.
      await waitFor('the quota to hold', async () => {
        const path = `/api/v1/namespaces/${namespace}/resourcequotas/none`;
        return (await admin.get<{ status?: { hard?: object } }>(path)).status?.hard !== undefined;
      });
      expect(await refusalOf(worker.provision(toProvisionInput()))).toEqual(
        refusal(FAILURE.sandboxQuotaExceeded, false, 'exceeded quota: none'),
      );
    } finally {
      await admin.delete(`/api/v1/namespaces/${namespace}/resourcequotas/none`);
    }
    await expectNothingLeft(cluster());
  });

  test('its pod dies at start → what it said and its exit code', async () => {
    const worker = await hands.worker({
      through: withCommand(['sh', '-c', 'echo cannot start; exit 3']),
    });
    expect(await refusalOf(worker.provision(toProvisionInput()))).toEqual(
      refusal(FAILURE.sandboxStartFailed, true, 'exit code 3: cannot start'),
    );
    await expectNothingLeft(cluster());
  });

  test('an image without the daemon → what is missing', async () => {
    const worker = await hands.worker({ through: withCommand(['/no/such/program']) });
    expect(await refusalOf(worker.provision(toProvisionInput()))).toEqual(
      refusal(FAILURE.sandboxStartFailed, true, '/no/such/program'),
    );
  });

  test('a daemon that never answers → says so', async () => {
    const through = withCommand(['sleep', '1000']);
    const worker = await hands.worker({ through, answerMs: 2_000 });
    expect(await refusalOf(worker.provision(toProvisionInput()))).toEqual(
      refusal(FAILURE.sandboxStartFailed, false, 'did not answer in 2 s'),
    );
    await expectNothingLeft(cluster());
  });

  test('the worker may not do it → the verb, the resource and the namespace', async () => {
    const worker = await hands.worker({ namespace: 'default' });
    expect(await refusalOf(worker.provision(toProvisionInput()))).toEqual(
      refusal(
        FAILURE.sandboxClusterRefused,
        true,
        'cannot list resource "jobs".*namespace "default"',
      ),
    );
  });

  test('the namespace is unknown → its name', async () => {
    const { adminKubeconfig: kubeconfig } = cluster();
    const worker = await hands.worker({ kubeconfig, namespace: 'no-such' });
    expect(await refusalOf(worker.provision(toProvisionInput()))).toEqual(
      refusal(FAILURE.sandboxClusterRefused, true, 'namespaces "no-such" not found'),
    );
  });

  test('hosts to be let out to, and a worker without a proxy → refused before a Job is made', async () => {
    const worker = await hands.worker();
    const networking = { type: 'limited' as const, allowed_hosts: ['example.com'] };
    expect(
      await refusalOf(worker.provision(toProvisionInput({ environment: { networking } }))),
    ).toEqual(
      refusal(FAILURE.sandboxUnsupportedConfig, true, 'DROVER_EGRESS_PROXY and DROVER_EGRESS_KEYS'),
    );
  });

  describe('its Job is there already', () => {
    async function createWith(input: ProvisionInput, change: (job: V1Job) => V1Job) {
      let made: V1Job | undefined;
      const through = (inner: HandCluster): HandCluster => ({
        ...inner,
        async createJob(job) {
          made = change(job);
          return inner.createJob(made);
        },
      });
      const worker = await hands.worker({ through, startMs: 20_000 });
      return worker.provision(input);
    }

    test('another one’s → refused, and left alone', async () => {
      const { admin, namespace } = cluster();
      const input = toProvisionInput();
      const recipe = toHandRecipe({}, { image: 'another:1', network: 'none' });
      // No labels at all would be filled in from its pods'.
      const labels = { 'app.kubernetes.io/managed-by': 'another' };
      const { spec } = toHandJob(recipe);
      const metadata = { name: jobName(TEMPORAL, input.hand), namespace, labels };
      await admin.create({ apiVersion: 'batch/v1', kind: 'Job', metadata, spec });
      const worker = await hands.worker();
      expect(await refusalOf(worker.provision(input))).toEqual(
        refusal(FAILURE.sandboxUnavailable, true, `foreign Job.*${jobName(TEMPORAL, input.hand)}`),
      );
      const path = `/apis/batch/v1/namespaces/${namespace}/jobs/${metadata.name}`;
      expect(await admin.get<V1Job>(path)).not.toHaveProperty('metadata.deletionTimestamp');
      await admin.delete(path, { propagationPolicy: 'Foreground' });
    });

    test('made from another recipe → replaced', async () => {
      const input = toProvisionInput();
      const first = await createWith(input, (job) => ({
        ...job,
        metadata: {
          ...job.metadata,
          annotations: { ...job.metadata?.annotations, 'drover.dev/spec-hash': 'x' },
        },
      }));
      const worker = await hands.worker();
      expect(await refusalOf(worker.provision(input))).toEqual(
        refusal(FAILURE.sandboxUnavailable, false, 'made from another recipe'),
      );
      const second = await waitFor('its successor', () =>
        worker.provision(input).catch(() => undefined),
      );
      expect(second.instance).not.toBe(first.instance);
      hands.releaseLater({ ...input.hand, provider: 'kubernetes', ...second });
    });

    test('being deleted → not adopted', async () => {
      const hand = await hands.provision();
      const worker = await hands.worker();
      await worker.release({ hand: hand.instance, keep_workspace: false });
      const input = toProvisionInput({ session: hand.instance.session_id });
      expect(await refusalOf(worker.provision(input))).toEqual(
        refusal(FAILURE.sandboxUnavailable, false, 'still being deleted'),
      );
      const next = await waitFor('its successor', () =>
        worker.provision(input).catch(() => undefined),
      );
      expect(next.instance).not.toBe(hand.instance.instance);
      hands.releaseLater({ ...hand.instance, ...next });
    });
  });

  describe('there is no cluster', () => {
    test('no kubeconfig → its path', async () => {
      await expect(openClusterAccess({ kubeconfig: '/no/such/kubeconfig' })).rejects.toThrow(
        /Kubeconfig \/no\/such\/kubeconfig cannot be used: .*ENOENT/,
      );
    });

    test('nothing answers → retried', async () => {
      const worker = await hands.worker({
        through: (inner) => ({ ...inner, createJob: (job) => unanswered(job) }),
      });
      expect(await refusalOf(worker.provision(toProvisionInput()))).toEqual(
        refusal(FAILURE.sandboxClusterUnreachable, false, 'did not answer'),
      );
    });
  });
});

/** Makes Jobs whose container runs another command. */
function withCommand(command: string[]): (cluster: HandCluster) => HandCluster {
  return (inner) => ({
    ...inner,
    createJob(job) {
      const copy = structuredClone(job);
      for (const container of copy.spec?.template.spec?.containers ?? []) {
        container.command = command;
        container.args = [];
      }
      return inner.createJob(copy);
    },
  });
}

/** Asks a port that nothing listens on. */
async function unanswered(job: V1Job): Promise<V1Job> {
  const { requestJson } = await import('../../k8s/connection/request.ts');
  const access = {
    server: new URL('https://127.0.0.1:1'),
    namespace: 'x',
    requestOptions: async () => ({}),
    close: () => {},
  };
  return (await requestJson(access, { method: 'POST', path: '/x', body: job })) as V1Job;
}
