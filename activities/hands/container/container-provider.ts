import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { removeDeadSockets } from '../../../egress/dead-sockets.ts';
import { ConfigurationConflictError } from '../../../hand/configuration.ts';
import type { CallResult } from '../../../hand/wire.ts';
import { handKey, type TemporalNamespace } from '../../../k8s/hand-labels.ts';
import type { HandConfig } from '../../../protocol/environment.ts';
import { FAILURE } from '../../../protocol/failure.ts';
import type {
  ExecuteInput,
  HandInstance,
  HandName,
  ProvisionInput,
  ReleaseInput,
  ReleaseResult,
} from '../../../protocol/hand.ts';
import type { CollectResult } from '../../../protocol/output-list.ts';
import type { Store } from '../../../store/store.ts';
import { createHandConnection, type HandConnection } from '../hand-connection.ts';
import { HandGoneError } from '../hand-gone-error.ts';
import { NoPodError } from '../kubernetes/await-pod.ts';
import { toHandConfiguration } from '../kubernetes/hand-configuration.ts';
import { createHandWorkspaces, type HandWorkspaces } from '../kubernetes/hand-workspaces.ts';
import { lostOutcome } from '../kubernetes/lost-hand.ts';
import { prepareHand } from '../kubernetes/prepare-hand.ts';
import { refuseRecipe } from '../kubernetes/refuse-recipe.ts';
import { toFailure, toSandboxFailure } from '../kubernetes/sandbox-failure.ts';
import type { SessionChains } from '../kubernetes/session-chains.ts';
import { toSetupSteps } from '../kubernetes/setup-steps.ts';
import type {
  ExecuteOptions,
  ExecuteOutcome,
  HandProvider,
  ProvisionedHand,
  ProvisionOptions,
} from '../provider.ts';
import { type Claim, type Claims, openClaims } from './claims.ts';
import { type ContainerGateway, containerAccess } from './container-gateway.ts';
import { type Door, openDoor } from './door.ts';
import { createHandSlots, type HandSlots } from './hand-slots.ts';

export interface ContainerProviderOptions {
  /** Where workers put their sockets: hands can read it and not write. */
  readonly doors: string;
  /** Claims of all workers of these hands. */
  readonly claims: string;
  readonly temporalNamespace: TemporalNamespace;
  /** Keeps workspaces, and the files that hands give. */
  readonly store: Store;
  readonly gateway: ContainerGateway;
  /** Time in which a hand must be free. Default: 5 minutes. */
  readonly startMs?: number;
  /** Silence after which a hand is given up. Default: 30 s. */
  readonly silenceMs?: number;
}

export interface ContainerProvider extends HandProvider {
  /** Ends the hands of sessions that are open no more. */
  sweep(chains: SessionChains): Promise<void>;
  /** Closes the streams to hands. The hands go on. */
  close(): Promise<void>;
}

const DEFAULT_START_MS = 5 * 60_000;
const ANSWER_MS = 20_000;
const CONFIGURE_ATTEMPTS = 5;
const GONE = new HandGoneError('The hand was ended.');
const NEVER = new AbortController().signal;
const UNWATCHED: ProvisionOptions = { onWaiting: () => {}, abandoned: NEVER };
/** Above all that the tools give; below 2 MB even if each character is written as an escape. */
const MAX_RESULT_LENGTH = 300_000;
const SUPPORTS: readonly (keyof HandConfig)[] = ['packages', 'snapshot'];

/**
 * Hands in containers that are there already and come to us (`hand/visit.ts`): each is claimed by one
 * session, and ends with its release; its container is then started anew by who runs it.
 */
export async function createContainerProvider(
  options: ContainerProviderOptions,
): Promise<ContainerProvider> {
  await removeDeadSockets(options.doors, /\.sock$/);
  const claims = openClaims(options.claims);
  const slots = createHandSlots(() => door, claims);
  const door = await openDoor({
    path: join(options.doors, `${randomUUID()}.sock`),
    onVisit: (visit) => slots.onVisit(visit),
  });
  return new ContainerHands(options, { door, claims, slots });
}

interface Parts {
  readonly door: Door;
  readonly claims: Claims;
  readonly slots: HandSlots;
}

class ContainerHands implements ContainerProvider {
  readonly supports = SUPPORTS;
  readonly supportsResources = ['github_repository', 'file'] as const;
  readonly #options: ContainerProviderOptions;
  readonly #parts: Parts;
  readonly #workspaces: HandWorkspaces<string>;
  readonly #connections = new Map<string, HandConnection>();
  /** Of sessions that were open no more at the last look: one that is new is never ended. */
  #unwanted = new Set<string>();

  constructor(options: ContainerProviderOptions, parts: Parts) {
    const { temporalNamespace, store } = options;
    this.#options = options;
    this.#parts = parts;
    const exec = (instance: string) => parts.door.open(instance, 'transfer');
    this.#workspaces = createHandWorkspaces({ temporalNamespace, exec }, store);
  }

  async provision(input: ProvisionInput, options = UNWATCHED): Promise<ProvisionedHand> {
    const { hand } = input;
    refuseRecipe(input);
    try {
      await this.#releaseEarlier(input);
      return { instance: await this.#make(input, options) };
    } catch (error) {
      if (error instanceof NoPodError) throw toSandboxFailure(hand, error.reason);
      throw toFailure(error);
    }
  }

  async execute(input: ExecuteInput, options: ExecuteOptions): Promise<ExecuteOutcome> {
    const { hand, session_id, call } = input;
    if (!this.#isClaimed(hand)) return lostOutcome('it was ended, and its container started anew');
    try {
      return toOutcome(await this.#to(hand.instance).run(session_id, call, options));
    } catch (error) {
      if (!(error instanceof HandGoneError)) throw error;
      await this.#giveUp(hand);
      return lostOutcome(error.message);
    }
  }

  async release(input: ReleaseInput, signal = NEVER): Promise<ReleaseResult | undefined> {
    const { hand, keep_workspace } = input;
    const { instance } = hand;
    try {
      const result =
        instance === null ? undefined : await this.#end({ ...hand, instance }, input, signal);
      if (!keep_workspace) await this.#workspaces.forget(hand);
      return result;
    } catch (error) {
      throw toFailure(error);
    }
  }

  async collect(hand: HandInstance, signal: AbortSignal): Promise<CollectResult | null> {
    try {
      if (!(await this.#isPresent(hand))) return null;
      return await this.#workspaces.collect(hand.instance, hand, signal);
    } catch (error) {
      throw toFailure(error);
    }
  }

  async sweep(chains: SessionChains): Promise<void> {
    const { claims, slots } = this.#parts;
    const before = this.#unwanted;
    this.#unwanted = new Set();
    await chains.verifyNamespace();
    for (const { owner, claim } of claims.list()) {
      if ((await chains.stateOf(claim.session_id, claim.chain_id)) === 'open') continue;
      this.#unwanted.add(claim.instance);
      if (before.has(claim.instance)) await slots.giveUp(owner, claim.instance);
    }
  }

  async close(): Promise<void> {
    // Not a lost hand: it goes on, and the next attempt of what is pending attaches to it.
    const stopping = ApplicationFailure.create({
      type: FAILURE.sandboxUnavailable,
      message: 'This worker is stopping.',
    });
    for (const instance of [...this.#connections.keys()]) this.#forget(instance, stopping);
    await this.#parts.door.close();
  }

  async #make(input: ProvisionInput, options: ProvisionOptions): Promise<string> {
    const { startMs = DEFAULT_START_MS } = this.#options;
    const owner = this.#ownerOf(input.hand);
    for (let attempt = 1; ; attempt += 1) {
      const claim = await this.#parts.slots.acquire(owner, input.hand, { startMs, ...options });
      const { instance } = claim;
      try {
        await this.#prepare(input, claim, options);
        return instance;
      } catch (error) {
        // Nothing of the session ran in it.
        if (error instanceof NoPodError) await this.#giveUp({ ...input.hand, instance });
        if (!isTaken(error) || attempt === CONFIGURE_ATTEMPTS) throw error;
        this.#forget(instance, GONE);
        await this.#parts.slots.yieldTo(owner, instance);
      }
    }
  }

  async #prepare(input: ProvisionInput, claim: Claim, options: ProvisionOptions): Promise<void> {
    const { temporalNamespace, store, gateway } = this.#options;
    const { instance } = claim;
    const connection = this.#to(instance);
    const workspace = await this.#workspaces.plan(input.hand);
    const access = containerAccess(input, this.#ownerOf(input.hand), claim, gateway);
    const told = { ...workspace, ...access };
    const configuration = toHandConfiguration(temporalNamespace, input, told);
    await connection.configure(configuration);
    const steps = [...workspace.steps, ...toSetupSteps(input, store)];
    const exec = () => this.#parts.door.open(instance, 'transfer');
    const prepare = { answerMs: ANSWER_MS, exec, ...options };
    await prepareHand(connection, { configuration, steps }, prepare);
  }

  /** The hand before this one, if that could not be brought to its end. */
  async #releaseEarlier({ hand, environment }: ProvisionInput): Promise<void> {
    if (hand.generation === 1) return;
    const { provider, config = {} } = environment.definition;
    const earlier = { ...hand, generation: hand.generation - 1, provider };
    const claim = this.#parts.claims.find(this.#ownerOf(earlier));
    if (claim === undefined) return;
    const rules = { keep_workspace: true, ...(config.snapshot && { snapshot: config.snapshot }) };
    await this.#end({ ...earlier, instance: claim.instance }, rules, NEVER);
  }

  async #end(
    hand: HandInstance,
    { keep_workspace, snapshot }: Omit<ReleaseInput, 'hand'>,
    signal: AbortSignal,
  ): Promise<ReleaseResult | undefined> {
    const result = keep_workspace ? await this.#workspaces.taken(hand) : undefined;
    if (result !== undefined || !(await this.#isPresent(hand))) {
      await this.#giveUp(hand);
      return result;
    }
    const connection = this.#to(hand.instance);
    const taken = await this.#workspaces
      .take(hand.instance, hand, { keep_workspace, snapshot, signal, connection })
      .catch(async (error: unknown) => {
        // One that was lost meanwhile has nothing to take any more.
        if (!(error instanceof HandGoneError) && (await this.#isPresent(hand))) throw error;
        return undefined;
      });
    await this.#giveUp(hand);
    return taken;
  }

  /** Whether it is that hand's still, and answers. */
  async #isPresent(hand: HandInstance): Promise<boolean> {
    return this.#isClaimed(hand) && (await this.#parts.slots.arrives(hand.instance));
  }

  #isClaimed(hand: HandInstance): boolean {
    return this.#parts.claims.find(this.#ownerOf(hand))?.instance === hand.instance;
  }

  async #giveUp(hand: HandName & { readonly instance: string }): Promise<void> {
    this.#forget(hand.instance, GONE);
    await this.#parts.slots.giveUp(this.#ownerOf(hand), hand.instance);
  }

  #ownerOf(hand: HandName): string {
    return handKey(this.#options.temporalNamespace, hand);
  }

  #to(instance: string): HandConnection {
    const { silenceMs } = this.#options;
    const known = this.#connections.get(instance);
    if (known !== undefined) return known;
    const connection = createHandConnection({
      instance,
      open: () => this.#parts.door.open(instance, 'calls'),
      ...(silenceMs === undefined ? {} : { silenceMs }),
    });
    this.#connections.set(instance, connection);
    return connection;
  }

  #forget(instance: string, reason: Error): void {
    this.#connections.get(instance)?.close(reason);
    this.#connections.delete(instance);
  }
}

/** Another worker's claim was faster, or its container ended meanwhile: another hand will do. */
function isTaken(error: unknown): boolean {
  return error instanceof ConfigurationConflictError || error instanceof HandGoneError;
}

/** An empty text is no content: the Messages API refuses empty text blocks. */
function toOutcome({ text: whole, is_error }: CallResult): ExecuteOutcome {
  const text = whole.length <= MAX_RESULT_LENGTH ? whole : `${whole.slice(0, MAX_RESULT_LENGTH)}…`;
  return { content: text === '' ? [] : [{ type: 'text', text }], is_error };
}
