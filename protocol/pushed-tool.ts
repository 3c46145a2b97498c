import { ResultContent } from './content.ts';
import type { AgentToolResult } from './session-event.ts';
import { isUndecodable } from './undecodable.ts';

/**
 * Tools that somebody's own worker serves on a queue of theirs, as activity `execute` with the
 * arguments `name` and `input`. Credentials are that worker's matter.
 */
export interface PushedTools {
  /**
   * @returns text, content blocks, or `{content, is_error}` with either; anything else is shown to
   * the model as JSON. What it throws is shown as an error.
   */
  execute(name: string, input: Readonly<Record<string, unknown>>): Promise<unknown>;
}

const ACTIVITY_ID = 'tool:';

/** Its worker is told nothing of the session, so that the call is named by its activity. */
export function pushedActivityId(callId: string): string {
  return `${ACTIVITY_ID}${callId}`;
}

/** The call that an activity makes; undefined for those of hands. */
export function pushedCallId(activityId: string): string | undefined {
  return activityId.startsWith(ACTIVITY_ID) ? activityId.slice(ACTIVITY_ID.length) : undefined;
}

const MAX_CHARACTERS = 100_000;

/** The result of a call for log and model, whatever the worker returned. */
export function toPushedResult(callId: string, returned: unknown): AgentToolResult {
  const { content, isError } = read(returned);
  return {
    type: 'agent.tool_result',
    tool_use_id: callId,
    content: content.map(shorten),
    ...(isError ? { is_error: true } : {}),
  };
}

function read(returned: unknown): { content: ResultContent; isError: boolean } {
  if (isUndecodable(returned)) {
    const text = `The tool ran; what it returned could not be decoded: ${returned.undecodable}`;
    return { content: [{ type: 'text', text }], isError: true };
  }
  if (typeof returned === 'object' && returned !== null && 'content' in returned) {
    const parsed = ResultContent.safeParse(returned.content);
    const isError = 'is_error' in returned && returned.is_error === true;
    if (parsed.success) return { content: parsed.data, isError };
  }
  if (returned === undefined || returned === null) return { content: [], isError: false };
  const parsed = ResultContent.safeParse(returned);
  if (parsed.success) return { content: parsed.data, isError: false };
  return { content: [{ type: 'text', text: JSON.stringify(returned) }], isError: false };
}

/** The whole of it stays in the history; more than this is of no use to a model. */
function shorten(block: ResultContent[number]): ResultContent[number] {
  if (block.type !== 'text' || block.text.length <= MAX_CHARACTERS) return block;
  const head = block.text.slice(0, MAX_CHARACTERS);
  const left = block.text.length - head.length;
  return { type: 'text', text: `${head.toWellFormed()}\n[${left} more characters are left out]` };
}
