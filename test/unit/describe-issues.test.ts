import { expect, test } from 'vitest';
import { checkEvents } from '../../protocol/check-events.ts';

test.each<[string, unknown, string]>([
  [
    'an unknown type',
    { type: 'nonsense' },
    'events[0].type: must be one of user.message, user.interrupt, user.tool_confirmation, user.custom_tool_result. ',
  ],
  [
    'no type',
    ['fine', {}],
    'events[1].type: must be one of user.message, user.interrupt, user.tool_confirmation, user.custom_tool_result. ',
  ],
  [
    'an unknown block',
    { type: 'user.message', content: [{ type: 'video' }] },
    'events[0].content[0].type: must be one of text, image, document. ',
  ],
  [
    'an unknown source of an image',
    { type: 'user.message', content: [{ type: 'image', source: { type: 'file' } }] },
    'events[0].content[0].source.type: must be one of base64, url. ',
  ],
])('%s → names the field and what is allowed', (_name, input, words) => {
  const checked = checkEvents(input);
  expect(checked.ok ? '' : checked.message.slice(0, words.length)).toBe(words);
});
