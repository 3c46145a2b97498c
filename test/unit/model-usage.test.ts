import { expect, test } from 'vitest';
import { addUsage, NO_USAGE } from '../../protocol/model-usage.ts';

const some = {
  input_tokens: 1,
  output_tokens: 2,
  cache_creation_input_tokens: 3,
  cache_read_input_tokens: 4,
};

test.each([
  ['all counters', some, { input_tokens: 2, output_tokens: 4, cache_read_input_tokens: 8 }],
  ['some counters', { output_tokens: 5 }, { input_tokens: 1, output_tokens: 7 }],
  ['no usage at all', undefined, some],
])('%s → added to what was used before', (_name, used, expected) => {
  expect(addUsage(addUsage(NO_USAGE, some), used)).toMatchObject(expected);
});
