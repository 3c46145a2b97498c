import { Context, heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { CallConflictError } from '../../hand/hand.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type {
  ExecuteInput,
  ExecuteProgress,
  ExecuteResult,
  HandActivities,
} from '../../protocol/hand.ts';
import type { ExecuteOutcome, HandProvider } from './provider.ts';

/** A killed worker is noticed when this fails to come; the workflow allows 2 s. */
const HEARTBEAT_MS = 400;

/**
 * The activities of a hands worker.
 *
 * @param deps.providers Every kind of hand this worker can make, by the name an environment gives.
 */
export function createHandActivities(deps: {
  readonly providers: Readonly<Record<string, HandProvider>>;
}): HandActivities {
  const { providers } = deps;
  return {
    async provision(input) {
      const { provider } = input.environment.definition;
      const { instance } = await providerFor(providers, provider).provision(input);
      return { hand: { ...input.hand, provider, instance } };
    },
    async execute(input) {
      return execute(providerFor(providers, input.hand.provider), input);
    },
    async release(input) {
      await providerFor(providers, input.hand.provider).release(input);
    },
  };
}

async function execute(provider: HandProvider, input: ExecuteInput): Promise<ExecuteResult> {
  const stopWatching = new AbortController();
  const { interrupt, detach } = watchCancellation(Context.current(), stopWatching.signal);
  let progress: ExecuteProgress = { call_id: input.call.id, tail: '', output_bytes: 0 };
  heartbeat(progress);
  const timer = setInterval(() => heartbeat(progress), HEARTBEAT_MS);
  try {
    const outcome = await provider.execute(input, {
      interrupt,
      detach,
      onProgress: (next) => {
        progress = { call_id: input.call.id, ...next };
      },
    });
    return toResult(input, outcome);
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

function toResult({ call }: ExecuteInput, outcome: ExecuteOutcome): ExecuteResult {
  const { content, is_error, lost } = outcome;
  const event = { type: 'agent.tool_result' as const, tool_use_id: call.id, content, is_error };
  return lost === undefined ? { events: [event] } : { events: [event], lost };
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
