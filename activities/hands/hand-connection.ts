import { ConfigurationConflictError, type HandConfiguration } from '../../hand/configuration.ts';
import { CallConflictError } from '../../hand/hand.ts';
import type { CallResult, HandReply, HandRequest } from '../../hand/wire.ts';
import type { ToolCall } from '../../protocol/hand.ts';
import type { ExecuteOptions } from './provider.ts';
import {
  type Asked,
  createStandingStream,
  type StandingStream,
  type StandingStreamOptions,
} from './standing-stream.ts';

/** A standing connection to one hand. A call that is asked for again, under its key, is the same call. */
export interface HandConnection {
  /** Resolves when the hand has answered. */
  ready(): Promise<void>;
  /**
   * Tells the hand what it is for; the same again is nothing new.
   *
   * @throws {ConfigurationConflictError}
   */
  configure(configuration: HandConfiguration): Promise<void>;
  /**
   * Runs a call of provisioning once, in a scope and with tools of its own.
   *
   * @throws {CallConflictError}
   */
  setUp(call: ToolCall, options: SetUpOptions): Promise<CallResult>;
  /**
   * @throws {CallConflictError}
   * @throws {HandGoneError} The instance is gone, or has not answered for too long.
   */
  run(sessionId: string, call: ToolCall, options: ExecuteOptions): Promise<CallResult>;
  /** Rejects what is pending with `reason`. */
  close(reason: Error): void;
}

/** Aborted or told as those of a call are; a step of provisioning is never interrupted. */
export type SetUpOptions = Pick<ExecuteOptions, 'detach' | 'onProgress'>;

const MAX_TAIL_LENGTH = 2_048;
const MAX_CONFLICT_LENGTH = 1_000;

export function createHandConnection(options: StandingStreamOptions): HandConnection {
  const stream = createStandingStream(options);
  return {
    ready: () =>
      stream.ask<void>(
        (id) => ({ type: 'ping', id }),
        (reply, { resolve }) => {
          if (reply.type === 'pong') resolve();
        },
      ).answer,
    configure: (configuration) =>
      stream.ask<void>(
        (id) => ({ type: 'configure', id, configuration }),
        (reply, { resolve, reject }) => {
          if (reply.type === 'acknowledged') resolve();
          if (reply.type === 'conflict') reject(new ConfigurationConflictError(messageOf(reply)));
        },
      ).answer,
    setUp: async (call, options) =>
      ask(stream, (id) => ({ type: 'set_up', id, call }), options).answer,
    async run(sessionId, call, options) {
      const asked = ask(
        stream,
        (id) => ({ type: 'run', id, session_id: sessionId, call }),
        options,
      );
      const cancel = (): void =>
        asked.add((id) => ({ type: 'cancel', id, session_id: sessionId, call_id: call.id }));
      const settled = new AbortController();
      options.interrupt.addEventListener('abort', cancel, { signal: settled.signal });
      if (options.interrupt.aborted) cancel();
      return asked.answer.finally(() => settled.abort());
    },
    close: (reason) => stream.close(reason),
  };
}

/** Asks for a call until it is answered or detached from. */
function ask(
  stream: StandingStream,
  build: (id: string) => HandRequest,
  { detach, onProgress }: SetUpOptions,
): Asked<CallResult> {
  detach.throwIfAborted();
  const asked = stream.ask<CallResult>(build, (reply, { resolve, reject }) => {
    if (reply.type === 'result') resolve(reply.result);
    if (reply.type === 'conflict') reject(new CallConflictError(messageOf(reply)));
    if (reply.type === 'progress') onProgress(withoutEnvelope(reply));
  });
  const settled = new AbortController();
  const onDetach = (): void => asked.reject(detach.reason);
  detach.addEventListener('abort', onDetach, { signal: settled.signal });
  return { ...asked, answer: asked.answer.finally(() => settled.abort()) };
}

function messageOf({ message }: Extract<HandReply, { type: 'conflict' }>): string {
  return message.slice(0, MAX_CONFLICT_LENGTH);
}

function withoutEnvelope(reply: Extract<HandReply, { type: 'progress' }>): {
  readonly tail: string;
  readonly output_bytes: number;
} {
  return {
    tail: reply.tail.slice(-MAX_TAIL_LENGTH),
    output_bytes: reply.output_bytes,
  };
}
