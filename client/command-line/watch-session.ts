import type { StopReason } from '../../protocol/session-event.ts';
import type { Drover } from '../connect-drover.ts';
import type { EventPrinter, Output } from './event-printer.ts';
import { followSession } from './follow-session.ts';

/** Why watching ended: the session went idle (only when asked to stop there), or it ended. */
export type WatchEnd =
  | { readonly type: 'idle'; readonly stopReason: StopReason }
  | { readonly type: 'terminated'; readonly reason: string | null }
  | { readonly type: 'aborted' };

export interface WatchOptions {
  readonly printer: EventPrinter;
  /**
   * What else goes on, beside the log: `live` for a terminal; `waiting` for a reader of lines, who is
   * told what is waited for and tried again.
   */
  readonly previews: 'live' | 'waiting' | 'none';
  /** Stop at an idle after which, as this begins, nothing more was recorded. */
  readonly untilIdle: boolean;
  /** Position to start after; default: the beginning. */
  readonly after?: string;
  readonly signal: AbortSignal;
}

export function previewsFor({ isTTY }: Output): 'live' | 'waiting' {
  return isTTY === true ? 'live' : 'waiting';
}

/** Prints a session's log as it grows, and what goes on meanwhile. */
export async function watchSession(
  drover: Pick<Drover, 'sessions'>,
  id: string,
  options: WatchOptions,
): Promise<WatchEnd> {
  const { printer, untilIdle } = options;
  const done = new AbortController();
  const signal = AbortSignal.any([options.signal, done.signal]);
  const last = untilIdle ? await lastPosition(drover, id) : undefined;
  const previewing = showPreviews(drover, id, { ...options, signal });
  try {
    const onLost = () => printer.line('the server is away; waiting for it');
    for await (const event of followSession(drover.sessions, id, {
      signal,
      onLost,
      ...(options.after === undefined ? {} : { after: options.after }),
    })) {
      printer.event(event);
      if (event.type === 'session.status_terminated') {
        return { type: 'terminated', reason: event.reason };
      }
      if (untilIdle && event.type === 'session.status_idle' && isAtLeast(event.position, last)) {
        return { type: 'idle', stopReason: event.stop_reason };
      }
    }
    return { type: 'aborted' };
  } finally {
    done.abort();
    await previewing;
  }
}

async function lastPosition(
  { sessions }: Pick<Drover, 'sessions'>,
  id: string,
): Promise<string | undefined> {
  return (await sessions.events(id, { order: 'desc', limit: 1 }))[0]?.position;
}

function isAtLeast(position: string, last: string | undefined): boolean {
  return last === undefined || position >= last;
}

/** A reader of lines is told within seconds, for as little asking. */
const WAITING_INTERVAL_MS = 1_000;

async function showPreviews(
  drover: Pick<Drover, 'sessions'>,
  id: string,
  { printer, previews, signal }: Pick<WatchOptions, 'printer' | 'previews' | 'signal'>,
): Promise<void> {
  if (previews === 'none') return;
  const options = previews === 'live' ? { signal } : { signal, intervalMs: WAITING_INTERVAL_MS };
  for await (const event of drover.sessions.previews(id, options)) printer.preview(event);
}
