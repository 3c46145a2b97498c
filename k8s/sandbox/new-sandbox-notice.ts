import type { HandTool } from '../../hand/tool.ts';

const NOTICE =
  '[this is a new, empty sandbox: the one before it has ended, and its files and processes are gone]';

/**
 * Tools that say, with their first result, that this is not the sandbox of earlier calls. A sandbox
 * that was released because it idled ended without a call that could have told.
 */
export function withNewSandboxNotice(
  tools: Readonly<Record<string, HandTool>>,
): Readonly<Record<string, HandTool>> {
  let isTold = false;
  const wrap = (tool: HandTool): HandTool => ({
    hasEffects: tool.hasEffects,
    async run(input, call) {
      const result = await tool.run(input, call);
      if (isTold) return result;
      isTold = true;
      return { ...result, text: result.text === '' ? NOTICE : `${NOTICE}\n${result.text}` };
    },
  });
  return Object.fromEntries(Object.entries(tools).map(([name, tool]) => [name, wrap(tool)]));
}
