import { expect, test } from 'vitest';
import type { HandTool } from '../../hand/tool.ts';
import { withNotice } from '../../hand/with-notice.ts';

const call = {
  id: 'toolu_1',
  signal: new AbortController().signal,
  onStart: () => {},
  onProgress: () => {},
};
const tool = (text: string): HandTool => ({
  hasEffects: false,
  run: async () => ({ text, is_error: true }),
});

test('the first result of all tools tells the notice, the later ones nothing', async () => {
  const { bash, read } = withNotice({ bash: tool('said'), read: tool('') }, '[new]');
  expect(await read?.run({}, call)).toEqual({
    text: '[new]',
    is_error: true,
  });
  expect(await bash?.run({}, call)).toEqual({ text: 'said', is_error: true });
  expect(await read?.run({}, call)).toEqual({ text: '', is_error: true });
});
