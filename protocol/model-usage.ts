import type { ModelUsage } from './session-event.ts';

export const NO_USAGE: ModelUsage = {
  input_tokens: 0,
  output_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
};

/** What a session has used so far. Another harness may leave out what it does not count. */
export function addUsage(total: ModelUsage, used: Partial<ModelUsage> | undefined): ModelUsage {
  return {
    input_tokens: total.input_tokens + (used?.input_tokens ?? 0),
    output_tokens: total.output_tokens + (used?.output_tokens ?? 0),
    cache_creation_input_tokens:
      total.cache_creation_input_tokens + (used?.cache_creation_input_tokens ?? 0),
    cache_read_input_tokens: total.cache_read_input_tokens + (used?.cache_read_input_tokens ?? 0),
  };
}
