import type { V1Job, V1Pod } from '@kubernetes/client-node';
import type { HandCluster } from '../../../k8s/hand-cluster.ts';
import type {
  HandInstance,
  ProvisionInput,
  ReleaseInput,
  ReleaseResult,
} from '../../../protocol/hand.ts';
import { HandGoneError } from '../hand-gone-error.ts';
import { belongsTo } from './await-pod.ts';
import { deleteHandJob } from './delete-hand-job.ts';
import type { HandStreams } from './hand-streams.ts';
import type { HandWorkspaces, TakeOptions } from './hand-workspaces.ts';
import { readPodState } from './pod-state.ts';
import { reachEarly } from './reach-early.ts';

export interface HandEnds {
  /** What a session does with a hand that it needs no more. */
  release(input: ReleaseInput, signal: AbortSignal): Promise<ReleaseResult | undefined>;
  /** Releases the sandbox before this one, if that could not be brought to its end. */
  releaseEarlier(input: ProvisionInput): Promise<void>;
  /** Undefined when the instance is gone. */
  runningPod(hand: HandInstance): Promise<V1Pod | undefined>;
}

const NEVER = new AbortController().signal;

export function createHandEnds(
  cluster: HandCluster,
  streams: HandStreams,
  workspaces: HandWorkspaces<V1Pod>,
): HandEnds {
  const runningPod: HandEnds['runningPod'] = async (hand) => {
    const jobs = await cluster.listJobsOf(hand);
    const pods = await cluster.listPods(jobs);
    const pod = pods.find(({ metadata }) => metadata?.uid === hand.instance);
    if (pod === undefined) return undefined;
    const { type } = readPodState(pod);
    // A hand that was reached early may be released before its pod's status tells that it runs.
    if (type === 'starting') return (await answers(streams, jobs, pod)) ? pod : undefined;
    return type === 'running' ? pod : undefined;
  };
  const take = async (
    hand: HandInstance,
    options: Omit<TakeOptions, 'connection'>,
  ): Promise<ReleaseResult | undefined> => {
    const taken = options.keep_workspace ? await workspaces.taken(hand) : undefined;
    const pod = taken === undefined ? await runningPod(hand) : undefined;
    if (pod === undefined) return taken;
    try {
      const connection = streams.to(hand, hand.instance);
      return await workspaces.take(pod, hand, { ...options, connection });
    } catch (error) {
      // One that was lost meanwhile has nothing to take any more.
      const isLost = (await runningPod(hand)) === undefined;
      if (isLost || error instanceof HandGoneError) return undefined;
      throw error;
    }
  };
  const end = async (
    hand: HandInstance,
    options: Omit<TakeOptions, 'connection'>,
  ): Promise<ReleaseResult | undefined> => {
    const result = await take(hand, options);
    streams.forget(hand.instance, new HandGoneError('The hand was ended.'));
    await deleteHandJob(cluster, hand);
    return result;
  };
  return {
    runningPod,
    async release({ hand, keep_workspace, snapshot }, signal) {
      const { instance } = hand;
      const options = { keep_workspace, snapshot, signal };
      const result = instance === null ? undefined : await end({ ...hand, instance }, options);
      if (!keep_workspace) await workspaces.forget(hand);
      return result;
    },
    async releaseEarlier({ hand, environment }) {
      if (hand.generation === 1) return;
      const { provider, config = {} } = environment.definition;
      const earlier = { ...hand, generation: hand.generation - 1, provider };
      const pods = await cluster.listPods(await cluster.listJobsOf(earlier));
      for (const { metadata } of pods) {
        const options = { keep_workspace: true, snapshot: config.snapshot, signal: NEVER };
        await end({ ...earlier, instance: metadata?.uid ?? '' }, options);
      }
    },
  };
}

async function answers(streams: HandStreams, jobs: readonly V1Job[], pod: V1Pod): Promise<boolean> {
  const job = jobs.find((one) => belongsTo(pod, one));
  if (job === undefined) return false;
  return reachEarly(streams, job, pod).then(
    () => true,
    () => false,
  );
}
