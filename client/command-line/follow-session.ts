import { setTimeout as delay } from 'node:timers/promises';
import type { SessionEvent } from '../../protocol/session-event.ts';
import { ServerUnreachableError } from '../errors/server-unreachable-error.ts';
import type { Sessions, TailOptions } from '../sessions.ts';

const RETRY_MS = 500;

export interface FollowOptions extends TailOptions {
  /** Give up when the server was away this long. Default: 60,000. */
  readonly patienceMs?: number;
  readonly onLost?: () => void;
}

interface Progress {
  after: string | undefined;
  lostAtMs: number | undefined;
}

const DEFAULT_PATIENCE_MS = 60_000;

/** A tail that goes on where it was when the server comes back. */
export async function* followSession(
  sessions: Sessions,
  id: string,
  options: FollowOptions = {},
): AsyncGenerator<SessionEvent, void, undefined> {
  const progress: Progress = { after: options.after, lostAtMs: undefined };
  while (!options.signal?.aborted) {
    try {
      yield* tailFrom(sessions, id, options, progress);
      return;
    } catch (error) {
      noteLoss(error, progress, options);
    }
    await delay(RETRY_MS);
  }
}

async function* tailFrom(
  sessions: Sessions,
  id: string,
  options: FollowOptions,
  progress: Progress,
): AsyncGenerator<SessionEvent, void, undefined> {
  const { types, signal } = options;
  const tail = sessions.tail(id, {
    ...(types === undefined ? {} : { types }),
    ...(signal === undefined ? {} : { signal }),
    ...(progress.after === undefined ? {} : { after: progress.after }),
  });
  for await (const event of tail) {
    progress.lostAtMs = undefined;
    if (progress.after === undefined || event.position > progress.after) {
      progress.after = event.position;
    }
    yield event;
  }
}

/** @throws the error itself when it is another one, or the patience is over */
function noteLoss(error: unknown, progress: Progress, options: FollowOptions): void {
  if (!(error instanceof ServerUnreachableError)) throw error;
  if (progress.lostAtMs === undefined) options.onLost?.();
  progress.lostAtMs ??= Date.now();
  if (Date.now() - progress.lostAtMs > (options.patienceMs ?? DEFAULT_PATIENCE_MS)) throw error;
}
