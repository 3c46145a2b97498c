import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { V1Job } from '@kubernetes/client-node';
import type { HandCluster } from '../../../k8s/hand-cluster.ts';
import {
  ANNOTATION,
  handIdentity,
  handKey,
  type JobIdentity,
  jobName,
  LABEL,
  MANAGED_BY,
  nameJob,
} from '../../../k8s/hand-labels.ts';
import { FAILURE } from '../../../protocol/failure.ts';
import type { HandName } from '../../../protocol/hand.ts';
import { NoPodError } from './await-pod.ts';
import { deleteUnchangedJob } from './delete-unchanged-job.ts';
import { hasEnded } from './has-ended.ts';
import type { Cause } from './pod-state.ts';
import { GONE_OR_CHANGED, unlessRefused } from './unless-refused.ts';

export interface AcquireOptions {
  /** Takes an idle Job and makes it that of `identity`; undefined when there is none. */
  claim(identity: JobIdentity): Promise<V1Job | undefined>;
  /** Hardly one is there: it is looked for only after one was taken. */
  readonly isFirst: boolean;
}

const ROUNDS = 20;
const SETTLE_TRIES = 40;
const SETTLE_MS = 50;

/**
 * The one Job of a hand: the one that an earlier attempt left, or a claimed one, or a new one.
 *
 * Attempts may run at the same time, some of them given up by Temporal without knowing it. Each
 * writes into the Job that it takes or adopts that it holds it; all writes and deletions are of the
 * Job as it was read, so the last holder alone can delete it. Who takes a Job looks for others
 * afterwards and gives its own up if there is one: of two who take at once at least the later one
 * sees both, and whoever returned before has been seen alone.
 *
 * @throws {NoPodError} The name is taken by a Job that may not be used.
 * @throws {ClusterError}
 */
export async function acquireJob(
  cluster: HandCluster,
  hand: HandName,
  wanted: V1Job,
  { claim, isFirst }: AcquireOptions,
): Promise<V1Job> {
  const { labels, annotations } = handIdentity(cluster.temporalNamespace, hand);
  const identity = { labels, annotations: { ...annotations, [ANNOTATION.holder]: randomUUID() } };
  for (let round = 0; round < ROUNDS; round += 1) {
    const present = isFirst && round === 0 ? undefined : await findJob(cluster, hand);
    const job =
      present === undefined
        ? await take(cluster, hand, { wanted, identity, claim })
        : await adopt(cluster, present, { wanted, identity });
    if (job !== undefined) return job;
  }
  throw new NoPodError(passing('other attempts to make it got in between again and again'));
}

/** Deletes a Job as it was acquired, unless another attempt has adopted it since. */
export async function giveUpJob(cluster: HandCluster, acquired: V1Job): Promise<void> {
  const holder = acquired.metadata?.annotations?.[ANNOTATION.holder];
  let job: V1Job | undefined = acquired;
  while (job !== undefined && job.metadata?.annotations?.[ANNOTATION.holder] === holder) {
    if ((await deleteUnchangedJob(cluster, job)) !== 'changed') return;
    job = await unlessRefused([404], cluster.getJob(job.metadata?.name ?? ''));
    if (job?.metadata?.uid !== acquired.metadata?.uid) return;
  }
}

interface Acquiring {
  readonly wanted: V1Job;
  readonly identity: JobIdentity;
}

async function take(
  cluster: HandCluster,
  hand: HandName,
  { wanted, identity, claim }: Acquiring & Pick<AcquireOptions, 'claim'>,
): Promise<V1Job | undefined> {
  const taken = (await claim(identity)) ?? (await create(cluster, hand, { wanted, identity }));
  if (taken === undefined) return undefined;
  const others = (await listLive(cluster, hand)).filter(
    ({ metadata }) => metadata?.uid !== taken.metadata?.uid,
  );
  if (others.length === 0) return taken;
  await giveUpJob(cluster, taken);
  return undefined;
}

/** Undefined: another attempt was faster. */
async function create(
  cluster: HandCluster,
  hand: HandName,
  { wanted, identity }: Acquiring,
): Promise<V1Job | undefined> {
  const { temporalNamespace: temporal } = cluster;
  const name = jobName(temporal, hand);
  const made = await unlessRefused([409], cluster.createJob(nameJob(wanted, name, identity)));
  if (made !== undefined) return made;
  const present = await unlessRefused([404], cluster.getJob(name));
  const { labels = {}, deletionTimestamp } = present?.metadata ?? {};
  const isOurs =
    labels[LABEL.managedBy] === MANAGED_BY && labels[LABEL.hand] === handKey(temporal, hand);
  if (present !== undefined && !isOurs) {
    throw new NoPodError(lasting(`a foreign Job has its name, ${name}`));
  }
  if (deletionTimestamp !== undefined) {
    throw new NoPodError(passing('the Job before it is still being deleted'));
  }
  return undefined;
}

/** Undefined: somebody has changed it meanwhile. */
async function adopt(
  cluster: HandCluster,
  present: V1Job,
  { wanted, identity }: Acquiring,
): Promise<V1Job | undefined> {
  const isSame = hashOf(present) === hashOf(wanted);
  if (isSame && !hasEnded(present)) {
    const { annotations } = identity;
    return unlessRefused(GONE_OR_CHANGED, cluster.patchJob(present, { metadata: { annotations } }));
  }
  // No session has it: a hand that was reported gets another generation when it ends.
  if ((await deleteUnchangedJob(cluster, present)) === 'changed') return undefined;
  const why = isSame ? 'had ended' : 'was made from another recipe';
  throw new NoPodError(passing(`the Job before it ${why} and is being deleted`));
}

/**
 * The Job of the hand. Two are there while attempts that took one each have not given one up; if
 * they were killed, the first by name is as good as any, and the other one is swept in the end.
 */
async function findJob(cluster: HandCluster, hand: HandName): Promise<V1Job | undefined> {
  let jobs = await listLive(cluster, hand);
  for (let tries = 0; tries < SETTLE_TRIES && jobs.length > 1; tries += 1) {
    await delay(SETTLE_MS);
    jobs = await listLive(cluster, hand);
  }
  const nameOf = ({ metadata }: V1Job): string => metadata?.name ?? '';
  return [...jobs].sort((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1))[0];
}

async function listLive(cluster: HandCluster, hand: HandName): Promise<readonly V1Job[]> {
  const jobs = await cluster.listJobsOf(hand);
  return jobs.filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
}

function hashOf({ metadata }: V1Job): string | undefined {
  return metadata?.annotations?.[ANNOTATION.specHash];
}

function passing(text: string): Cause {
  return { type: FAILURE.sandboxUnavailable, text, isPassing: true };
}

function lasting(text: string): Cause {
  return { type: FAILURE.sandboxUnavailable, text, isPassing: false };
}
