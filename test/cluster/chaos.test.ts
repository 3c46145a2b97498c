import { expect, inject, test } from 'vitest';
import { runChaos } from '../../bench/chaos/chaos-run.ts';
import { describeCluster, SANDBOX_IMAGE } from './test-cluster.ts';
import { TEST_RUN_LABEL } from './test-run-label.ts';

// The short form of `npm run bench -- chaos-hands`: only faults that no other test feels.

const FAULTS = 20;
const SEED = 7;
const TIMEOUT_MS = 480_000;

describeCluster('sessions, while what their hands run on breaks', (cluster) => {
  test(
    'each command runs once, no result is lost, each lost sandbox is told, nobody is stuck',
    async () => {
      const { audit, faults, left } = await runChaos({
        kubeconfig: cluster().adminKubeconfig,
        image: SANDBOX_IMAGE,
        seed: SEED,
        faults: FAULTS,
        lanes: 3,
        moreKinds: [],
        labels: { [TEST_RUN_LABEL]: inject('testRun') },
      });
      expect({ ...audit, left }).toMatchObject({
        ranTwice: [],
        resultsLost: [],
        stuck: [],
        unreported: [],
        needless: [],
        left: [],
      });
      expect(faults.length).toBeGreaterThanOrEqual(FAULTS);
      expect(audit.answered).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});
