import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { ClusterAdmin } from '../../bench/cluster/cluster-admin.ts';
import {
  type ClusterNamespaces,
  openClusterNamespaces,
} from '../../bench/cluster/cluster-namespaces.ts';
import { waitFor } from '../support/wait-for.ts';
import { TEST_RUN_LABEL } from './test-run-label.ts';

const KUBECONFIG = process.env['KUBECONFIG'];

/** The sandbox image, as the cluster's nodes know it. */
export const SANDBOX_IMAGE = process.env['DROVER_SANDBOX_IMAGE'] ?? 'drover/sandbox:0.1.0';

/** The workers' image, and the egress proxy's. */
export const WORKER_IMAGE = process.env['DROVER_WORKER_IMAGE'] ?? 'drover/worker:0.1.0';

/** Namespaces of a test file's own. */
export type TestCluster = ClusterNamespaces;
export type Admin = ClusterAdmin;

/** Where pods reach what listens on this machine: where they reach the API server of a cluster that runs on it. */
export function hostOf({ admin }: TestCluster): string {
  return process.env['DROVER_TEST_HOST'] ?? admin.access.server.hostname;
}

/** A suite that needs a cluster: skipped without `KUBECONFIG`, which `CI=true` does not accept. */
export function describeCluster(name: string, define: (cluster: () => TestCluster) => void): void {
  if (KUBECONFIG === undefined) {
    if (process.env['CI'] === 'true') {
      test(name, () => expect.fail('CI needs a cluster: set KUBECONFIG'));
    } else {
      test.skip(`SKIPPED, set KUBECONFIG: ${name}`, () => {});
    }
    return;
  }
  describe(name, () => {
    let opened: TestCluster | undefined;
    beforeAll(async () => {
      const labels = { [TEST_RUN_LABEL]: inject('testRun') };
      opened = await openClusterNamespaces({
        kubeconfig: KUBECONFIG,
        prefix: 'drover-test',
        labels,
      });
    });
    afterAll(async () => {
      if (opened === undefined) return;
      try {
        await expectNothingLeft(opened);
      } finally {
        await opened.close();
      }
    });
    define(() => {
      if (opened === undefined) throw new Error('the cluster is not open yet');
      return opened;
    });
  });
}

/** No Job, pod or volume of ours may outlive what used it. */
export async function expectNothingLeft(cluster: TestCluster): Promise<void> {
  const isEmpty = async (): Promise<boolean> => (await cluster.left()).length === 0;
  await waitFor('Jobs, pods and volumes to be gone', isEmpty, 30_000).catch(() => {});
  expect(await cluster.left()).toEqual([]);
}

/** Takes away what a test left that failed. */
export async function deleteJobs(cluster: TestCluster): Promise<void> {
  const { admin, namespace } = cluster;
  const body = { propagationPolicy: 'Background' };
  await admin.delete(`/apis/batch/v1/namespaces/${namespace}/jobs`, body);
  const isEmpty = async (): Promise<boolean> => (await cluster.left()).length === 0;
  await waitFor('Jobs, pods and volumes to be gone', isEmpty, 45_000);
}
