import type { HandTool } from './tool.ts';

/**
 * Tools that tell `notice` with their first result. What happened to the sandbox of earlier calls
 * may have been told by none of them: one that is released because it idles ends without a call.
 */
export function withNotice(
  tools: Readonly<Record<string, HandTool>>,
  notice: string,
): Readonly<Record<string, HandTool>> {
  let isTold = false;
  const wrap = (tool: HandTool): HandTool => ({
    hasEffects: tool.hasEffects,
    async run(input, call) {
      const result = await tool.run(input, call);
      if (isTold) return result;
      isTold = true;
      return { ...result, text: result.text === '' ? notice : `${notice}\n${result.text}` };
    },
  });
  return Object.fromEntries(Object.entries(tools).map(([name, tool]) => [name, wrap(tool)]));
}
