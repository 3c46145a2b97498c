import type { ContentBlock } from '../../../protocol/session-event.ts';
import type { SessionStep } from './session-step.ts';

/**
 * Blocks of an answer that the API takes back. Everything else goes back unchanged, thinking with
 * its signature included. What is left out stays in the log:
 * - all of a refused answer, since the API would refuse again;
 * - blank text and thinking without a signature, which the API rejects;
 * - thinking at the very end of an answer that does not go on, likewise;
 * - a server tool call that never got its result because the answer was cut.
 */
export function sendableBlocks(step: SessionStep): readonly ContentBlock[] {
  if (step.stopReason === 'refusal') return [];
  const answered = new Set(step.answer.flatMap(answeredUseId));
  const isCut = step.stopReason === 'interrupted' || step.stopReason === 'max_tokens';
  const blocks = step.answer.filter(
    (block) =>
      !isBlankText(block) &&
      !isUnsignedThinking(block) &&
      !(isCut && isServerToolUse(block) && !answered.has(block.id)),
  );
  return step.stopReason === 'pause_turn' ? blocks : withoutTrailingThinking(blocks);
}

export function isBlank(text: string): boolean {
  return text.trim() === '';
}

function isBlankText(block: ContentBlock): boolean {
  return block.type === 'text' && isBlank(block.text);
}

function isUnsignedThinking(block: ContentBlock): boolean {
  return block.type === 'thinking' && !block.signature;
}

function isServerToolUse(
  block: ContentBlock,
): block is Extract<ContentBlock, { type: 'server_tool_use' | 'mcp_tool_use' }> {
  return block.type === 'server_tool_use' || block.type === 'mcp_tool_use';
}

function answeredUseId(block: ContentBlock): string[] {
  return 'tool_use_id' in block ? [block.tool_use_id] : [];
}

function withoutTrailingThinking(blocks: readonly ContentBlock[]): readonly ContentBlock[] {
  const last = blocks.findLastIndex(
    ({ type }) => type !== 'thinking' && type !== 'redacted_thinking',
  );
  return blocks.slice(0, last + 1);
}
