import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { ApplicationFailure } from '@temporalio/common';
import type { CallResult } from '../../../hand/wire.ts';
import { ClusterError } from '../../../k8s/connection/cluster-error.ts';
import type { HandCluster } from '../../../k8s/hand-cluster.ts';
import { toHandJob } from '../../../k8s/hand-job.ts';
import { handKey } from '../../../k8s/hand-labels.ts';
import { type HandRecipe, toHandRecipe } from '../../../k8s/hand-recipe.ts';
import type { HandConfig } from '../../../protocol/environment.ts';
import { FAILURE } from '../../../protocol/failure.ts';
import type {
  ExecuteInput,
  HandInstance,
  ProvisionInput,
  ReleaseInput,
  ReleaseResult,
} from '../../../protocol/hand.ts';
import type { CollectResult } from '../../../protocol/output-list.ts';
import { TASK_QUEUE } from '../../../protocol/task-queue.ts';
import type { Store } from '../../../store/store.ts';
import type { WayOut } from '../gateway-token.ts';
import { HandGoneError } from '../hand-gone-error.ts';
import type {
  ExecuteOptions,
  ExecuteOutcome,
  HandProvider,
  ProvisionedHand,
  ProvisionOptions,
} from '../provider.ts';
import { HandSilentError } from '../standing-stream.ts';
import { acquireJob, giveUpJob } from './acquire-job.ts';
import { type AwaitPodOptions, awaitPod, NoPodError } from './await-pod.ts';
import { deleteHandJob } from './delete-hand-job.ts';
import { createHandEnds, type HandEnds } from './end-hand.ts';
import { expiryOf } from './expiry-of.ts';
import { toHandConfiguration } from './hand-configuration.ts';
import { egressAccess, type HandEgress, networkOf } from './hand-egress.ts';
import { createHandStreams, type HandStreams } from './hand-streams.ts';
import { createHandWorkspaces, type HandWorkspaces } from './hand-workspaces.ts';
import { lostOutcome } from './lost-hand.ts';
import { prepareHand } from './prepare-hand.ts';
import { reachEarly } from './reach-early.ts';
import { refuseInlinePool } from './refuse-inline-pool.ts';
import { refuseRecipe } from './refuse-recipe.ts';
import { toFailure, toSandboxFailure } from './sandbox-failure.ts';
import { toSetupSteps } from './setup-steps.ts';
import { createWarmPools, type WarmPools } from './warm-pools.ts';

export interface KubernetesProviderOptions {
  readonly cluster: HandCluster;
  /** Keeps workspaces, and the files that hands give. */
  readonly store: Store;
  /** The sandbox of environments that name no image. */
  readonly image: string;
  /** How the daemon is carried into other images. Default: by an init container. */
  readonly carriedBy?: 'init_container' | 'image_volume';
  /** Whose pools it keeps. Default: `drover-hands`. */
  readonly taskQueue?: string;
  /** The way out of hands with `allowed_hosts`. Default: such environments are refused. */
  readonly egress?: HandEgress;
  /** Time in which a new hand must run, images pulled and nodes added. Default: 5 minutes. */
  readonly startMs?: number;
  /** Time in which the daemon of a running pod must answer. Default: 20 s. */
  readonly answerMs?: number;
  /** Silence after which a hand is given up. Default: 30 s. */
  readonly silenceMs?: number;
}

export interface KubernetesProvider extends HandProvider {
  /** Jobs held ready for the environments of this worker's task queue. */
  readonly pools: WarmPools;
  /** Closes the streams to hands. The hands go on. */
  close(): void;
}

const DEFAULT_START_MS = 5 * 60_000;
const UNWATCHED: ProvisionOptions = {
  onWaiting: () => {},
  abandoned: new AbortController().signal,
};
const DEFAULT_ANSWER_MS = 20_000;
const NEVER = new AbortController().signal;
/** A cluster takes longer to notice that a node is away than a call waits for it. */
const SILENT = ' Its node may be away, or its daemon hangs.';
const GONE = new HandGoneError('The hand was ended.');
/** Above all that the tools give; below 2 MB even if each character is written as an escape. */
const MAX_RESULT_LENGTH = 300_000;
const SUPPORTS: readonly (keyof HandConfig)[] = [
  'image',
  'cpu_cores',
  'memory_mib',
  'disk_mib',
  'max_lifetime_seconds',
  'packages',
  'runtime_class_name',
  'node_selector',
  'snapshot',
  'warm_pool_size',
];

/** Hands in a cluster: a Job for each, reached by one standing exec stream. */
export function createKubernetesProvider(options: KubernetesProviderOptions): KubernetesProvider {
  return new KubernetesHands(options);
}

class KubernetesHands implements KubernetesProvider {
  readonly supports = SUPPORTS;
  readonly supportsResources = ['github_repository', 'file'] as const;
  readonly #options: KubernetesProviderOptions;
  readonly #cluster: HandCluster;
  readonly #streams: HandStreams;
  readonly #workspaces: HandWorkspaces<V1Pod>;
  readonly #ends: HandEnds;
  readonly pools: WarmPools;

  constructor(options: KubernetesProviderOptions) {
    const { cluster, store, silenceMs } = options;
    this.#options = options;
    this.#cluster = cluster;
    this.#streams = createHandStreams(cluster, silenceMs === undefined ? {} : { silenceMs });
    this.#workspaces = createHandWorkspaces(cluster, store);
    this.#ends = createHandEnds(cluster, this.#streams, this.#workspaces);
    this.pools = createWarmPools({
      cluster,
      streams: this.#streams,
      taskQueue: options.taskQueue ?? TASK_QUEUE.hands,
      toJob: (definition) => toHandJob(this.#recipeOf({ environment: { definition } })),
    });
  }

  async provision(
    input: ProvisionInput,
    options: ProvisionOptions = UNWATCHED,
  ): Promise<ProvisionedHand> {
    const { hand } = input;
    refuseInlinePool(input);
    refuseRecipe(input);
    const wanted = toHandJob(this.#recipeOf(input));
    try {
      await this.#ends.releaseEarlier(input);
      const job = await acquireJob(this.#cluster, hand, wanted, {
        claim: (identity) => this.pools.claim(input.environment, wanted, identity),
        isFirst: options.isFirst ?? false,
      });
      return await this.#start(input, job, options);
    } catch (error) {
      if (error instanceof NoPodError) throw toSandboxFailure(hand, error.reason);
      throw toFailure(error);
    }
  }

  async execute(input: ExecuteInput, options: ExecuteOptions): Promise<ExecuteOutcome> {
    const { hand, session_id, call } = input;
    const stream = this.#streams.to(hand, hand.instance);
    try {
      return toOutcome(await stream.run(session_id, call, options));
    } catch (error) {
      if (!(error instanceof HandGoneError)) throw error;
      const trouble = this.#streams.clusterTrouble(hand.instance);
      this.#streams.forget(hand.instance, GONE);
      if (trouble !== undefined) {
        throw clusterAway(`The call goes on in its hand, which cannot be asked: ${trouble}`);
      }
      const because = await this.#endLost(hand);
      const silence = error instanceof HandSilentError ? SILENT : '';
      return lostOutcome(because ?? `${error.message}${silence}`);
    }
  }

  async release(input: ReleaseInput, signal = NEVER): Promise<ReleaseResult | undefined> {
    try {
      return await this.#ends.release(input, signal);
    } catch (error) {
      throw toFailure(error);
    }
  }

  async collect(hand: HandInstance, signal: AbortSignal): Promise<CollectResult | null> {
    try {
      const pod = await this.#ends.runningPod(hand);
      return pod === undefined ? null : await this.#workspaces.collect(pod, hand, signal);
    } catch (error) {
      throw toFailure(error);
    }
  }

  close(): void {
    // Not a lost hand: it goes on, and the next attempt of what is pending attaches to it.
    this.#streams.closeAll(clusterAway('This worker is stopping.'));
  }

  /** Waits for the pod, then makes it the session's. */
  async #start(
    input: ProvisionInput,
    job: V1Job,
    options: ProvisionOptions,
  ): Promise<ProvisionedHand> {
    const { startMs = DEFAULT_START_MS } = this.#options;
    try {
      const pod =
        this.pools.podOf(job) ??
        (await awaitPod(this.#cluster, job, {
          startMs,
          ...this.#reaching(input, job),
          ...options,
        }));
      const instance = pod.metadata?.uid ?? '';
      await this.#prepare(input, { pod, job }, options);
      const expires_at = expiryOf(job, pod);
      return expires_at === undefined ? { instance } : { instance, expires_at };
    } catch (error) {
      // Nothing ran in it. One that stays would be nobody's if the session ends meanwhile.
      if (error instanceof NoPodError) await giveUpJob(this.#cluster, job).catch(ignoreRefusal);
      throw error;
    }
  }

  /** A way out is for the pod's address, which only a status has. */
  #reaching(input: ProvisionInput, job: V1Job): Pick<AwaitPodOptions, 'reach'> {
    if (networkOf(input, this.#options.egress) === 'limited') return {};
    return { reach: (pod) => reachEarly(this.#streams, job, pod) };
  }

  async #prepare(
    input: ProvisionInput,
    { pod, job }: { readonly pod: V1Pod; readonly job: V1Job },
    options: ProvisionOptions,
  ): Promise<void> {
    const { answerMs = DEFAULT_ANSWER_MS, egress } = this.#options;
    const { temporalNamespace } = this.#cluster;
    const key = handKey(temporalNamespace, input.hand);
    const access = await egressAccess(input, egress, { key, pod, job });
    const instance = pod.metadata?.uid ?? '';
    const connection = this.#streams.to(input.hand, instance);
    const workspace = await this.#workspaces.plan(input.hand);
    const setup = {
      configuration: toHandConfiguration(temporalNamespace, input, { ...workspace, ...access }),
      steps: [...workspace.steps, ...toSetupSteps(input, this.#options.store)],
    };
    try {
      const exec = (command: readonly string[]) => this.#cluster.exec(pod, command);
      await prepareHand(connection, setup, { answerMs, exec, ...options });
    } catch (error) {
      if (error instanceof NoPodError) this.#streams.forget(instance, GONE);
      throw error;
    }
  }

  /**
   * Sees to it that nothing goes on in a hand that is given up.
   *
   * @returns what the cluster says of its end, when that is more than its pod did.
   */
  async #endLost(hand: HandInstance): Promise<string | undefined> {
    try {
      return endOf(await deleteHandJob(this.#cluster, hand));
    } catch (error) {
      // The call has its result; a Job that stays ends by its own deadline.
      ignoreRefusal(error);
      return undefined;
    }
  }

  #recipeOf(input: WayOut): HandRecipe {
    const { config = {} } = input.environment.definition;
    const network = networkOf(input, this.#options.egress);
    const { image, carriedBy = 'init_container' } = this.#options;
    return toHandRecipe(config, { image, network, carriedBy });
  }
}

function endOf(job: V1Job | undefined): string | undefined {
  const failed = job?.status?.conditions?.find(({ type }) => /^Failed|^FailureTarget/.test(type));
  if (failed?.reason !== 'DeadlineExceeded') return undefined;
  return 'it reached its longest lifetime (config.max_lifetime_seconds)';
}

function ignoreRefusal(error: unknown): void {
  if (!(error instanceof ClusterError)) throw error;
}

function clusterAway(message: string): ApplicationFailure {
  return ApplicationFailure.create({ type: FAILURE.sandboxClusterUnreachable, message });
}

/** An empty text is no content: the Messages API refuses empty text blocks. */
function toOutcome({ text: whole, is_error }: CallResult): ExecuteOutcome {
  const text = whole.length <= MAX_RESULT_LENGTH ? whole : `${whole.slice(0, MAX_RESULT_LENGTH)}…`;
  return { content: text === '' ? [] : [{ type: 'text', text }], is_error };
}
