import type { Assumption } from '../../protocol/agent.ts';
import { isObject, type JsonObject } from '../../protocol/json-object.ts';
import type { ModelRequestEnd, ModelUsage, RefusalDetails } from '../../protocol/session-event.ts';
import type { ReadAnswer } from './read-answer.ts';

export interface RequestFacts {
  /** Id of the step's `span.model_request_start`. */
  readonly startId: string;
  /** Model asked for: the answer names the one that spoke, if it came so far. */
  readonly model: string;
  readonly assumptions: readonly Assumption[];
  /** A user interrupt ended the answer before its last word. */
  readonly isCut: boolean;
}

/** Closes the events of an answer. */
export function toRequestEnd(read: ReadAnswer, facts: RequestFacts): ModelRequestEnd {
  const { answer, requestId } = read;
  const { type: _type, role: _role, model, stop_reason: _said, ...message } = answer.message;
  const details = toRefusalDetails(message['stop_details']);
  return {
    type: 'span.model_request_end',
    model_request_start_id: facts.startId,
    is_error: false,
    model_usage: toUsage(message['usage']),
    model: typeof model === 'string' ? model : facts.model,
    stop_reason: facts.isCut ? 'interrupted' : (answer.stopReason ?? 'end_turn'),
    ...(details === null ? {} : { stop_details: details }),
    request_id: requestId,
    assumptions: facts.assumptions,
    ...withMessage(message),
  };
}

function withMessage(message: JsonObject): { message?: JsonObject } {
  const said = Object.entries(message).filter(([, value]) => value !== null && value !== undefined);
  return said.length === 0 ? {} : { message: Object.fromEntries(said) };
}

function toUsage(usage: unknown): ModelUsage {
  const counters = isObject(usage) ? usage : {};
  const speed = counters['speed'];
  return {
    input_tokens: countAt(counters, 'input_tokens'),
    output_tokens: countAt(counters, 'output_tokens'),
    cache_creation_input_tokens: countAt(counters, 'cache_creation_input_tokens'),
    cache_read_input_tokens: countAt(counters, 'cache_read_input_tokens'),
    ...(speed === 'standard' || speed === 'fast' ? { speed } : {}),
  };
}

function countAt(counters: JsonObject, key: string): number {
  const count = counters[key];
  return typeof count === 'number' ? count : 0;
}

function toRefusalDetails(details: unknown): RefusalDetails | null {
  if (!isObject(details) || details['type'] !== 'refusal') return null;
  const { category, explanation } = details;
  return {
    type: 'refusal',
    category: typeof category === 'string' ? category : null,
    explanation: typeof explanation === 'string' ? explanation : null,
  };
}
