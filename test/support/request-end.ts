import type { ModelRequestEnd } from '../../protocol/session-event.ts';

/** The close of an answer that used one token each way. */
export function requestEnd(stop_reason: ModelRequestEnd['stop_reason']): ModelRequestEnd {
  return {
    type: 'span.model_request_end',
    model_request_start_id: 'start',
    is_error: false,
    model_usage: {
      input_tokens: 1,
      output_tokens: 1,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
    },
    model: 'm',
    stop_reason,
    request_id: null,
    assumptions: [],
  };
}
