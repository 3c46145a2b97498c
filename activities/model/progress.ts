import type { RespondProgress } from '../../protocol/model-step.ts';
import type { RecordedEvent } from '../../protocol/session-event.ts';
import type { Answer } from './answer.ts';
import { toEvents } from './answer-events.ts';
import type { Speaker } from './speaker.ts';

const MAX_TEXT_BYTES = 16 * 1024;

/** Before the first word. */
export function noProgress(attempt: number): RespondProgress {
  return { attempt, event_id: null, event_type: null, offset: 0, text: '' };
}

/** The last thing the model said in words, under the id that it will have in the log. */
export function toProgress(
  answer: Answer,
  speaker: Speaker,
  attempt: number,
  eventIdAt: (index: number) => string,
): RespondProgress {
  const events = toEvents(answer, speaker);
  const index = events.findLastIndex((event) => spokenText(event) !== undefined);
  const event = events[index];
  const spoken = event && spokenText(event);
  if (spoken === undefined) return noProgress(attempt);
  const text = tail(spoken.text);
  return {
    attempt,
    event_id: eventIdAt(index),
    event_type: spoken.type,
    offset: spoken.text.length - text.length,
    text,
  };
}

function spokenText(
  event: RecordedEvent,
): { type: 'agent.message' | 'agent.thinking'; text: string } | undefined {
  if (event.type === 'agent.message' && event.block === undefined) {
    return { type: event.type, text: event.content.map(({ text }) => text).join('') };
  }
  if (event.type === 'agent.thinking' && event.block.type === 'thinking') {
    // Some servers open the block without its text, which comes with the deltas.
    return { type: event.type, text: event.block.thinking ?? '' };
  }
  return undefined;
}

/** At most 16 kB of UTF-8 from the end, never half a character. */
function tail(text: string): string {
  let start = Math.max(0, text.length - MAX_TEXT_BYTES);
  const excess = Buffer.byteLength(text.slice(start)) - MAX_TEXT_BYTES;
  if (excess > 0) start = startWithin(text, start);
  return isLowSurrogate(text.charCodeAt(start)) ? text.slice(start + 1) : text.slice(start);
}

/** First index from which the text fits. */
function startWithin(text: string, from: number): number {
  let bytes = 0;
  let start = text.length;
  while (start > from) {
    bytes += Buffer.byteLength(text.charAt(start - 1));
    if (bytes > MAX_TEXT_BYTES) break;
    start -= 1;
  }
  return start;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}
