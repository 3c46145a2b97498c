import type { V1Job } from '@kubernetes/client-node';
import type { HandCluster } from '../../../k8s/hand-cluster.ts';
import { ANNOTATION, LABEL, namespaceLabels, toSelector } from '../../../k8s/hand-labels.ts';
import { deleteUnchangedJob } from './delete-unchanged-job.ts';
import type { SessionChains } from './session-chains.ts';

export interface SweeperOptions {
  readonly cluster: HandCluster;
  readonly chains: SessionChains;
  /** Why nobody wants an idle Job of a pool; undefined when somebody does, or it cannot be told. */
  whyUnwanted(pooled: V1Job): string | undefined;
  /** For how long nobody must have wanted a Job before it goes. */
  readonly graceMs: number;
  /** Gets one line for each Job that was swept. */
  log(line: string): void;
}

export interface Sweeper {
  /** @throws when a session cannot be asked for: then nothing was swept, and all time starts anew. */
  sweep(): Promise<void>;
}

/**
 * Deletes Jobs whose session is closed or unknown, or whose pool nobody wants: what was left by a
 * session that was terminated, or by a worker that was killed. A Job goes when this sweeper has
 * found it unwanted for the whole of the grace time, so that no clocks are compared and a Job that
 * is new is never swept, and only as it was read: whoever adopts it meanwhile keeps it. Sweepers
 * side by side do no harm.
 */
export function createSweeper(options: SweeperOptions): Sweeper {
  const { cluster, chains, graceMs, log } = options;
  /** By the Job's uid. */
  let unwantedSince = new Map<string, number>();

  async function findUnwanted(): Promise<readonly Unwanted[]> {
    await chains.verifyNamespace();
    const jobs = await cluster.listJobs(toSelector(namespaceLabels(cluster.temporalNamespace)));
    const live = jobs.filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
    const reasons = await whyEach(live, options);
    return live.flatMap((job, index) => {
      const why = reasons[index];
      return why === undefined ? [] : [{ job, why }];
    });
  }

  return {
    async sweep() {
      const before = unwantedSince;
      unwantedSince = new Map();
      const found = await findUnwanted();
      const now = performance.now();
      for (const { job, why } of found) {
        const uid = job.metadata?.uid ?? '';
        const since = before.get(uid) ?? now;
        unwantedSince.set(uid, since);
        if (now - since < graceMs) continue;
        // Otherwise another sweeper was faster, or somebody has come to want it.
        const isSwept = (await deleteUnchangedJob(cluster, job)) === 'deleted';
        if (isSwept) log(`swept Job ${job.metadata?.name}: ${why}`);
      }
    },
  };
}

interface Unwanted {
  readonly job: V1Job;
  readonly why: string;
}

/** One question for each session, whatever it has of hands. */
async function whyEach(
  jobs: readonly V1Job[],
  { chains, whyUnwanted }: SweeperOptions,
): Promise<readonly (string | undefined)[]> {
  const asked = new Map<string, Promise<string | undefined>>();
  return Promise.all(
    jobs.map(({ metadata }) => {
      const { labels = {}, annotations = {} } = metadata ?? {};
      if (labels[LABEL.hand] === undefined) return whyUnwanted({ metadata: metadata ?? {} });
      const session = annotations[ANNOTATION.session];
      const chain = annotations[ANNOTATION.chain];
      if (session === undefined || chain === undefined) return undefined;
      const key = JSON.stringify([session, chain]);
      const answer = asked.get(key) ?? whyOrphaned(chains, session, chain);
      asked.set(key, answer);
      return answer;
    }),
  );
}

async function whyOrphaned(
  chains: SessionChains,
  session: string,
  chain: string,
): Promise<string | undefined> {
  const state = await chains.stateOf(session, chain);
  return state === 'open' ? undefined : `its session ${session} (chain ${chain}) is ${state}`;
}
