import { setTimeout as delay } from 'node:timers/promises';
import type { RespondProgress } from '../protocol/model-step.ts';
import { NotFoundError } from './errors/not-found-error.ts';
import type { Glimpse, ReadGlimpse } from './glimpse.ts';

/**
 * What the model is saying right now, in the shapes of the Managed Agents API, and what else goes
 * on. Never in the log.
 */
export type PreviewEvent =
  /** Opens a preview, and opens it anew (same id) when the model request is retried. */
  | {
      readonly type: 'event_start';
      readonly event: { readonly id: string; readonly type: 'agent.message' | 'agent.thinking' };
    }
  | {
      readonly type: 'event_delta';
      /** The id that the event will have in the log. */
      readonly event_id: string;
      readonly delta: {
        readonly type: 'content_delta';
        readonly index: 0;
        readonly content: { readonly type: 'text'; readonly text: string };
      };
    }
  /** A tool call that runs has said more. */
  | {
      readonly type: 'tool_progress';
      readonly tool_use_id: string;
      /** The last lines it said, at most 2 kB. */
      readonly tail: string;
      readonly output_bytes: number;
    }
  /**
   * What the session waits for or tries again (a hand that is being made, a model that is
   * overloaded, a missing worker), in words; null when that is over.
   */
  | { readonly type: 'session_waiting'; readonly reason: string | null };

/** Pure: the events between two looks at the same session. */
export function toPreviewEvents(
  previous: RespondProgress | undefined,
  current: RespondProgress | undefined,
): PreviewEvent[] {
  if (current === undefined || current.event_id === null || current.event_type === null) return [];
  const id = current.event_id;
  const same =
    previous?.event_id === id &&
    previous.attempt === current.attempt &&
    end(previous) <= end(current);
  const events: PreviewEvent[] = same
    ? []
    : [{ type: 'event_start', event: { id, type: current.event_type } }];
  // Thinking is announced only, as in the public API.
  if (current.event_type === 'agent.thinking') return events;
  const text = textAfter(same ? end(previous) : 0, current);
  if (text !== '') {
    const content = { type: 'text', text } as const;
    events.push({
      type: 'event_delta',
      event_id: id,
      delta: { type: 'content_delta', index: 0, content },
    });
  }
  return events;
}

/** Pure: what else a second look at the same session tells. */
export function toActivityEvents(previous: Glimpse | undefined, current: Glimpse): PreviewEvent[] {
  const events: PreviewEvent[] = [];
  for (const { call_id, tail, output_bytes } of current.calls) {
    const before = previous?.calls.find((call) => call.call_id === call_id)?.output_bytes ?? 0;
    if (output_bytes === before) continue;
    events.push({ type: 'tool_progress', tool_use_id: call_id, tail, output_bytes });
  }
  if ((previous?.waiting ?? null) !== current.waiting) {
    events.push({ type: 'session_waiting', reason: current.waiting });
  }
  return events;
}

function end(progress: RespondProgress): number {
  return progress.offset + progress.text.length;
}

/** An ellipsis stands for what passed between two looks. */
function textAfter(position: number, { offset, text }: RespondProgress): string {
  return position < offset ? `…${text}` : text.slice(position - offset);
}

export interface PreviewOptions {
  /** Ends the iteration without an error. */
  readonly signal?: AbortSignal;
  /** Between two looks. Default: 120. */
  readonly intervalMs?: number;
}

/**
 * Begins with what goes on at the first look, and ends with the session.
 * @throws NotFoundError when there is no such session
 */
export type WatchPreviews = (
  sessionId: string,
  options?: PreviewOptions,
) => AsyncGenerator<PreviewEvent, void, undefined>;

/** A worker's heartbeat reaches the server four times a second. */
const GLIMPSE_INTERVAL_MS = 120;

/**
 * Previews of any number of watchers; those of one session and interval share one poll, and without a watcher
 * nothing is polled. Best effort: a failed look is skipped. Ends with the session.
 */
export function createPreviews(readGlimpse: ReadGlimpse): WatchPreviews {
  const upcoming = new Map<string, Promise<Glimpse | undefined>>();
  const next = (sessionId: string, intervalMs: number): Promise<Glimpse | undefined> => {
    const key = `${intervalMs} ${sessionId}`;
    const shared = upcoming.get(key);
    if (shared !== undefined) return shared;
    const glimpse = delay(intervalMs)
      .then(() => readGlimpse(sessionId))
      .catch(skipUnlessMissing)
      .finally(() => upcoming.delete(key));
    upcoming.set(key, glimpse);
    return glimpse;
  };
  return async function* watch(sessionId, { signal, intervalMs = GLIMPSE_INTERVAL_MS } = {}) {
    let said: RespondProgress | undefined;
    let previous: Glimpse | undefined;
    const aborted = untilAborted(signal);
    while (!signal?.aborted) {
      const glimpse = await Promise.race([next(sessionId, intervalMs), aborted]);
      if (glimpse === undefined) continue;
      yield* toPreviewEvents(said, glimpse.progress);
      yield* toActivityEvents(previous, glimpse);
      said = glimpse.progress ?? said;
      previous = glimpse;
      if (!glimpse.open) return;
    }
  };
}

/** Never, without a signal. */
function untilAborted(signal: AbortSignal | undefined): Promise<undefined> {
  return new Promise((resolve) =>
    signal?.addEventListener('abort', () => resolve(undefined), { once: true }),
  );
}

function skipUnlessMissing(error: unknown): undefined {
  if (error instanceof NotFoundError) throw error;
}
