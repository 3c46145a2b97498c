import { expect, test } from 'vitest';
import type { HandTool } from '../../hand/tool.ts';
import { withNewSandboxNotice } from '../../k8s/sandbox/new-sandbox-notice.ts';

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

test('the first result of all tools says that the sandbox is new, the later ones nothing', async () => {
  const { bash, read } = withNewSandboxNotice({ bash: tool('said'), read: tool('') });
  expect(await read?.run({}, call)).toEqual({
    text: expect.stringMatching(/^\[this is a new, empty sandbox: .* are gone\]$/),
    is_error: true,
  });
  expect(await bash?.run({}, call)).toEqual({ text: 'said', is_error: true });
  expect(await read?.run({}, call)).toEqual({ text: '', is_error: true });
});
