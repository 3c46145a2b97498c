import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigurationConflictError } from '../../../hand/configuration.ts';
import { CallConflictError } from '../../../hand/hand.ts';
import { FAILURE } from '../../../protocol/failure.ts';
import type { HandConnection } from '../hand-connection.ts';
import { HandGoneError } from '../hand-gone-error.ts';
import type { ProvisionOptions } from '../provider.ts';
import { NoPodError } from './await-pod.ts';
import { type HandInSetup, type HandSetup, SetupFailedError } from './hand-setup.ts';
import { PodEndedError } from './hand-streams.ts';

export interface PrepareOptions extends ProvisionOptions {
  /** Time in which the daemon must answer. */
  readonly answerMs: number;
  /** Starts a program in the sandbox. */
  exec(command: readonly string[]): Promise<Duplex>;
}

/**
 * Makes a running sandbox the hand of its session: waits for its daemon, configures it, and sets it up.
 *
 * @throws {NoPodError} when that cannot be: the sandbox is of no use.
 */
export async function prepareHand(
  connection: HandConnection,
  setup: HandSetup,
  options: PrepareOptions,
): Promise<void> {
  try {
    await inTime(connection.configure(setup.configuration), options.answerMs);
    await runSteps(connection, setup, options);
  } catch (error) {
    throw toNoPodError(error) ?? error;
  }
}

async function inTime(answered: Promise<void>, answerMs: number): Promise<void> {
  const timer = new AbortController();
  const late = delay(answerMs, 'late' as const, { signal: timer.signal });
  try {
    if ((await Promise.race([answered, late])) !== 'late') return;
    answered.catch(() => {});
    throw new HandGoneError(`its daemon did not answer in ${answerMs / 1000} s`);
  } finally {
    timer.abort();
    await late.catch(() => {});
  }
}

async function runSteps(
  connection: HandConnection,
  { steps }: HandSetup,
  { onWaiting, abandoned, exec }: PrepareOptions,
): Promise<void> {
  for (const { title, run } of steps) {
    onWaiting(title);
    const hand: HandInSetup = {
      async call(call) {
        const onProgress = ({ tail }: { readonly tail: string }): void =>
          onWaiting(`${title}: ${tail}`);
        const result = await connection.setUp(call, { detach: abandoned, onProgress });
        if (result.is_error) throw new SetupFailedError(result.text);
        return result;
      },
      exec,
    };
    await run(hand).catch((error: unknown) => {
      if (!abandoned.aborted) throw error;
      throw new HandGoneError('nobody waits for it any more');
    });
  }
}

function toNoPodError(error: unknown): NoPodError | undefined {
  if (error instanceof PodEndedError) return new NoPodError(error.reason);
  if (error instanceof HandGoneError) {
    const type = FAILURE.sandboxStartFailed;
    return new NoPodError({ type, text: error.message, isPassing: true });
  }
  const isLasting =
    error instanceof SetupFailedError ||
    error instanceof ConfigurationConflictError ||
    error instanceof CallConflictError;
  if (!isLasting) return undefined;
  const type = FAILURE.sandboxSetupFailed;
  return new NoPodError({ type, text: error.message, isPassing: false });
}
