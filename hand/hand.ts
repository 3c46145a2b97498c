import type { ToolCall } from '../protocol/hand.ts';
import { inputHash, keyOf } from './call-key.ts';
import type { Journal } from './journal.ts';
import { OUTCOME } from './outcome.ts';
import type { CallProgress, HandTool } from './tool.ts';
import type { CallKey, CallResult } from './wire.ts';

/** Runs every call once: whoever asks again gets the same one. */
export interface Hand {
  /**
   * Runs the call, waits for the running one, or answers from the journal.
   *
   * @throws {CallConflictError} The key was used with another input.
   */
  run(sessionId: string, call: ToolCall, watcher: Watcher): Promise<CallResult>;
  /** Stops a call; one that has not come yet will not run when it comes. */
  cancel(key: CallKey): void;
  /** The hand is ending: what the end of its processes does to a call is no result of that call. */
  stopKeeping(): void;
}

export type Watcher = (progress: CallProgress) => void;

export class CallConflictError extends Error {
  override readonly name = 'CallConflictError';
}

interface LiveCall {
  readonly hash: string;
  readonly result: Promise<CallResult>;
  readonly abort: AbortController;
  readonly watchers: Set<Watcher>;
  /** What those who come later begin with. */
  readonly progress: { last: CallProgress | undefined };
}

export function createHand(deps: {
  readonly journal: Journal;
  readonly tools: Readonly<Record<string, HandTool>>;
}): Hand {
  const { journal } = deps;
  const live = new Map<string, LiveCall>();
  let isKeeping = true;

  const start = (key: string, hash: string, call: ToolCall): LiveCall => {
    const abort = new AbortController();
    const watchers = new Set<Watcher>();
    const progress: LiveCall['progress'] = { last: undefined };
    const onProgress = (next: CallProgress): void => {
      progress.last = next;
      for (const watcher of watchers) watcher(next);
    };
    const result = runJournaled(deps, {
      ...{ key, hash, call, signal: abort.signal, onProgress },
      isKept: () => isKeeping,
    });
    const started: LiveCall = { hash, result, abort, watchers, progress };
    live.set(key, started);
    // A result that could not be written stays here, so that it is not lost while the hand lives.
    const forget = (): void => {
      if (journal.find(key)?.state === 'done') live.delete(key);
    };
    result.then(forget, forget);
    return started;
  };

  return {
    async run(sessionId, call, watcher) {
      const key = keyOf({ session_id: sessionId, call_id: call.id });
      const hash = inputHash(call);
      const known = live.get(key) ?? journal.find(key);
      if (known?.hash !== undefined && known.hash !== hash) {
        throw new CallConflictError(
          `Call ${call.id} of session ${sessionId} was made before with another input; ` +
            'a call id names one call.',
        );
      }
      const running = live.get(key) ?? (known === undefined ? start(key, hash, call) : undefined);
      if (running === undefined) return answerFrom(journal, key);
      running.watchers.add(watcher);
      if (running.progress.last !== undefined) watcher(running.progress.last);
      return running.result.finally(() => running.watchers.delete(watcher));
    },
    cancel(key) {
      const name = keyOf(key);
      const running = live.get(name);
      if (running !== undefined) running.abort.abort();
      else if (journal.find(name) === undefined) {
        journal.write({ key: name, state: 'cancelled' }, 'disk');
      }
    },
    stopKeeping() {
      isKeeping = false;
    },
  };
}

function answerFrom(journal: Journal, key: string): CallResult {
  switch (journal.find(key)?.state) {
    case 'done':
      return journal.result(key);
    case 'cancelled':
      return OUTCOME.cancelled;
    default:
      return OUTCOME.unknown;
  }
}

interface NewCall {
  readonly key: string;
  readonly hash: string;
  readonly call: ToolCall;
  readonly signal: AbortSignal;
  readonly onProgress: Watcher;
  isKept(): boolean;
}

async function runJournaled(
  {
    journal,
    tools,
  }: { readonly journal: Journal; readonly tools: Readonly<Record<string, HandTool>> },
  { key, hash, call, signal, onProgress, isKept }: NewCall,
): Promise<CallResult> {
  const tool = Object.hasOwn(tools, call.name) ? tools[call.name] : undefined;
  if (tool === undefined) return failed(unknownTool(call.name, tools));
  let hasStarted = false;
  const onStart = (): void => {
    journal.write({ key, state: 'running', hash }, tool.hasEffects ? 'disk' : 'process');
    hasStarted = true;
  };
  try {
    journal.write({ key, state: 'queued', hash }, 'process');
    const result = await tool.run(call.input, { id: call.id, signal, onStart, onProgress });
    if (!isKept()) return OUTCOME.unknown;
    keep(journal, key, result);
    return result;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const extent = hasStarted ? 'it may have taken effect in part' : 'nothing ran';
    return failed(`The sandbox could not do this call (${reason}): ${extent}.`);
  }
}

/** The call has happened: a full disk must not turn its result into an error. */
function keep(journal: Journal, key: string, result: CallResult): void {
  try {
    journal.write({ key, state: 'done', result }, 'process');
  } catch (error) {
    console.error(`The result of ${key} could not be written:`, error);
  }
}

function unknownTool(name: string, tools: Readonly<Record<string, HandTool>>): string {
  return `There is no tool "${name}" in this sandbox; it has ${Object.keys(tools).join(', ')}.`;
}

function failed(text: string): CallResult {
  return { text, is_error: true };
}
