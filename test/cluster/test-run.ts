import { randomUUID } from 'node:crypto';
import type {} from 'vitest';
import type { TestProject } from 'vitest/node';
import { createClusterAdmin, type Manifest } from '../../bench/cluster/cluster-admin.ts';
import { listLeft } from '../../bench/cluster/cluster-namespaces.ts';
import { openClusterAccess } from '../../k8s/connection/cluster-access.ts';
import { waitFor } from '../support/wait-for.ts';
import { TEST_RUN_LABEL } from './test-run-label.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Value of `TEST_RUN_LABEL` on all namespaces of this run. */
    testRun: string;
  }
}

const GONE_MS = 90_000;

/** The run ends when no namespace of it is left, and with them no Job, pod or volume. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const testRun = randomUUID();
  project.provide('testRun', testRun);
  const kubeconfig = process.env['KUBECONFIG'];
  if (kubeconfig === undefined) return async () => {};
  return async () => {
    const access = await openClusterAccess({ kubeconfig });
    const admin = createClusterAdmin(access);
    const namespaces = async (): Promise<readonly string[]> => {
      const query = { labelSelector: `${TEST_RUN_LABEL}=${testRun}` };
      const path = '/api/v1/namespaces';
      const { items } = await admin.get<{ items: readonly Manifest[] }>(path, query);
      return items.map(({ metadata }) => metadata.name);
    };
    try {
      const areGone = async (): Promise<boolean> => (await namespaces()).length === 0;
      await waitFor('namespaces to be gone', areGone, GONE_MS).catch(() => {});
      const left = await namespaces();
      const things = await Promise.all(left.map((name) => listLeft(admin, `/namespaces/${name}`)));
      if (left.length === 0) return;
      throw new Error(`the cluster suite left ${[...left, ...things.flat()].join(', ')}`);
    } finally {
      access.close();
    }
  };
}
