import { Context, heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { CallConflictError } from '../../hand/hand.ts';
import type { EnvironmentDefinition } from '../../protocol/environment.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type {
  ExecuteInput,
  ExecuteProgress,
  ExecuteResult,
  HandActivities,
  ProvisionInput,
  ProvisionResult,
  ReleaseInput,
  ReleaseResult,
  ToolCall,
} from '../../protocol/hand.ts';
import type { CollectInput, CollectResult, OutputActivities } from '../../protocol/output-list.ts';
import { mcpResultsFolder } from '../../store/places.ts';
import type { Store } from '../../store/store.ts';
import { writeAttachment } from './attachment.ts';
import type { ExecuteOptions, ExecuteOutcome, HandProvider } from './provider.ts';

/** A killed worker is noticed when this fails to come; the workflow allows 2 s. */
const HEARTBEAT_MS = 400;
const PROVISION_HEARTBEAT_MS = 2_000;

/**
 * The activities of a hands worker.
 *
 * @param deps.providers Every kind of hand this worker can make, by the name an environment gives.
 */
export function createHandActivities(deps: {
  readonly providers: Readonly<Record<string, HandProvider>>;
  /** Of files that calls write, too large for a payload. Default: there are none. */
  readonly openStore?: () => Promise<Store>;
}): HandActivities & OutputActivities {
  const { providers, openStore } = deps;
  return {
    async provision(input) {
      return provision(providerFor(providers, input.environment.definition.provider), input);
    },
    async execute(input) {
      return execute(providerFor(providers, input.hand.provider), input, openStore);
    },
    async release(input) {
      const released = await release(providerFor(providers, input.hand.provider), input);
      if (input.has_mcp_results === true) await forgetResults(input, openStore);
      return released;
    },
    async collect(input) {
      return collect(providerFor(providers, input.hand.provider), input);
    },
  };
}

/** Heartbeats say what it waits for, where `temporal workflow describe` shows it. */
async function provision(provider: HandProvider, input: ProvisionInput): Promise<ProvisionResult> {
  const { definition } = input.environment;
  refuseUnsupported(provider, definition);
  refuseResources(provider, input);
  let waitingFor = 'the sandbox to start';
  const timer = setInterval(() => heartbeat({ waiting_for: waitingFor }), PROVISION_HEARTBEAT_MS);
  try {
    const onWaiting = (reason: string): void => {
      waitingFor = reason;
    };
    const context = Context.current();
    const isFirst = context.info.attempt === 1;
    const options = { onWaiting, abandoned: abandonment(context), isFirst };
    const { instance, expires_at } = await provider.provision(input, options);
    const hand = { ...input.hand, provider: definition.provider, instance };
    return expires_at === undefined ? { hand } : { hand, expires_at };
  } finally {
    clearInterval(timer);
  }
}

/** Keeping a workspace takes as long as it is large. */
function release(provider: HandProvider, input: ReleaseInput): Promise<ReleaseResult | undefined> {
  return whileAlive((signal) => provider.release(input, signal));
}

/** The session is over: nobody puts them into a hand any more. */
async function forgetResults(
  { hand: { chain_id: chainId, session_id: sessionId } }: ReleaseInput,
  openStore: (() => Promise<Store>) | undefined,
): Promise<void> {
  const store = await openStore?.();
  await store?.deleteAll(mcpResultsFolder({ chainId, sessionId }));
}

function collect(provider: HandProvider, { hand }: CollectInput): Promise<CollectResult | null> {
  return whileAlive(async (signal) => {
    if (provider.collect !== undefined) return provider.collect(hand, signal);
    throw ApplicationFailure.create({
      type: FAILURE.sandboxGivesNoFiles,
      message: `Hands of provider "${hand.provider}" give no files.`,
      nonRetryable: true,
    });
  });
}

async function whileAlive<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const timer = setInterval(() => heartbeat(), PROVISION_HEARTBEAT_MS);
  try {
    return await work(Context.current().cancellationSignal);
  } finally {
    clearInterval(timer);
  }
}

/** A worker that stops abandons nothing: the next attempt goes on with what there is. */
function abandonment(context: Context): AbortSignal {
  const abandoned = new AbortController();
  const onCancelled = (): void => {
    const { cancelRequested, notFound } = context.cancellationDetails ?? {};
    if (cancelRequested === true || notFound === true) abandoned.abort();
  };
  context.cancellationSignal.addEventListener('abort', onCancelled, { once: true });
  return abandoned.signal;
}

function refuseUnsupported(
  { supports = [] }: HandProvider,
  { provider, config = {} }: EnvironmentDefinition,
): void {
  const known: readonly string[] = supports;
  const refused = Object.entries(config).filter(
    ([field, value]) => value !== undefined && !known.includes(field),
  );
  if (refused.length === 0) return;
  const names = refused.map(([field]) => `config.${field}`).join(', ');
  throw ApplicationFailure.create({
    type: FAILURE.sandboxUnsupportedConfig,
    message:
      `Hand provider "${provider}" does not support ${names}; it supports ` +
      `${known.length === 0 ? 'no config' : known.join(', ')}. Change the environment.`,
    nonRetryable: true,
  });
}

function refuseResources(
  { supportsResources = [] }: HandProvider,
  { environment, resources = [] }: Partial<ProvisionInput>,
): void {
  const refused = resources.filter(({ type }) => !supportsResources.includes(type));
  if (refused.length === 0) return;
  const types = [...new Set(refused.map(({ type }) => type))].join(', ');
  const known = supportsResources.length === 0 ? 'none' : supportsResources.join(', ');
  throw ApplicationFailure.create({
    type: FAILURE.sandboxUnsupportedConfig,
    message:
      `Hand provider "${environment?.definition.provider}" does not support resources of type ` +
      `${types}; it supports ${known}. Leave them out, or name another environment.`,
    nonRetryable: true,
  });
}

async function execute(
  provider: HandProvider,
  input: ExecuteInput,
  openStore: (() => Promise<Store>) | undefined,
): Promise<ExecuteResult> {
  const stopWatching = new AbortController();
  const { interrupt, detach } = watchCancellation(Context.current(), stopWatching.signal);
  let progress: ExecuteProgress = { call_id: input.call.id, tail: '', output_bytes: 0 };
  // Not at once: the start is a sign of life already, and most calls end before the first beat.
  const timer = setInterval(() => heartbeat(progress), HEARTBEAT_MS);
  try {
    const options: ExecuteOptions = {
      interrupt,
      detach,
      onProgress: (next) => {
        progress = { call_id: input.call.id, ...next };
      },
    };
    const { attachment, ...plain } = input;
    if (attachment !== undefined) {
      const { attempt } = Context.current().info;
      const run = (call: ToolCall) => provider.execute({ ...plain, call }, options);
      return await writeAttachment(input.call, attachment, { openStore, attempt, run });
    }
    return toResult(input, await provider.execute(input, options));
  } catch (error) {
    if (!(error instanceof CallConflictError)) throw error;
    throw ApplicationFailure.create({
      type: FAILURE.sandboxJournalConflict,
      message: error.message,
      nonRetryable: true,
    });
  } finally {
    clearInterval(timer);
    stopWatching.abort();
  }
}

/**
 * Tells a cancelled call (stop the command) from a worker that may not go on (leave it running: the
 * next attempt attaches to it).
 */
function watchCancellation(
  context: Context,
  stop: AbortSignal,
): { readonly interrupt: AbortSignal; readonly detach: AbortSignal } {
  const interrupt = new AbortController();
  const detach = new AbortController();
  const onCancelled = (): void => {
    if (stop.aborted) return;
    if (context.cancellationDetails?.cancelRequested === true) interrupt.abort();
    else detach.abort(givenUp());
  };
  if (context.cancellationSignal.aborted) onCancelled();
  else
    context.cancellationSignal.addEventListener('abort', onCancelled, { once: true, signal: stop });
  return { interrupt: interrupt.signal, detach: detach.signal };
}

function givenUp(): ApplicationFailure {
  return ApplicationFailure.create({
    type: FAILURE.sandboxUnavailable,
    message: 'This worker is stopping; the call goes on, and the next attempt attaches to it.',
    nextRetryDelay: '100 milliseconds',
  });
}

function toResult(input: ExecuteInput, outcome: ExecuteOutcome): ExecuteResult {
  const { is_error, lost } = outcome;
  const content =
    lost === true && isBorrowed(input)
      ? [...outcome.content, { type: 'text' as const, text: whoseItIs(input) }]
      : outcome.content;
  const tool_use_id = input.call.id;
  const event = { type: 'agent.tool_result' as const, tool_use_id, content, is_error };
  return lost === undefined ? { events: [event] } : { events: [event], lost };
}

function isBorrowed({ hand, session_id }: ExecuteInput): boolean {
  return hand.session_id !== session_id;
}

/** The provider speaks to the owner, who gets a new one by calling again. */
function whoseItIs({ hand }: ExecuteInput): string {
  return (
    `A next call makes it anew for its owner alone: it is hand "${hand.name}" of session ` +
    `${hand.session_id}. Further calls of this session on it will not run.`
  );
}

function providerFor(
  providers: Readonly<Record<string, HandProvider>>,
  name: string,
): HandProvider {
  const provider = Object.hasOwn(providers, name) ? providers[name] : undefined;
  if (provider !== undefined) return provider;
  const known = Object.keys(providers).join(', ');
  throw ApplicationFailure.create({
    type: FAILURE.sandboxUnknownProvider,
    message:
      `This worker has no hand provider "${name}"; it has: ${known}. ` +
      'Change environment.provider, or its task_queue to one whose worker has it.',
    nonRetryable: true,
  });
}
