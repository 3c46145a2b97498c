import type { ContentBlock, RecordedEvent } from '../../protocol/session-event.ts';
import { grantFor } from '../../protocol/tool-permission.ts';
import type { Answer, AnswerBlock } from './answer.ts';
import { customToolUse, mcpToolUse, otherEvent, toolUse } from './event-block.ts';
import type { Speaker } from './speaker.ts';
import { toolProblem } from './tool-problem.ts';

/**
 * The answer as events of the log, one per block but for consecutive texts, which share one
 * message. The number of events before a block never changes while it streams, so that a preview
 * can carry the final id. Closed by the caller.
 */
export function toEvents(answer: Answer, speaker: Speaker): RecordedEvent[] {
  const events: RecordedEvent[] = [];
  for (const item of answer.blocks) {
    const last = events.at(-1);
    if (item.block.type === 'text' && last?.type === 'agent.message' && !('block' in last)) {
      events[events.length - 1] = { ...last, content: [...last.content, item.block] };
    } else {
      events.push(...eventsOf(item, answer, speaker));
    }
  }
  return events;
}

function eventsOf(item: AnswerBlock, answer: Answer, speaker: Speaker): RecordedEvent[] {
  const { block } = item;
  switch (block.type) {
    case 'tool_use':
      return toolUseEvents(block, item, answer, speaker);
    case 'server_tool_use':
    case 'mcp_tool_use':
      // The API runs it only once it is complete, so an open one never happened.
      return item.isComplete ? [otherEvent(block)] : [];
    default:
      return [otherEvent(block)];
  }
}

function toolUseEvents(
  block: Extract<ContentBlock, { type: 'tool_use' }>,
  item: AnswerBlock,
  answer: Answer,
  speaker: Speaker,
): RecordedEvent[] {
  if (!item.isComplete) return [];
  // Nothing of a refused answer may run: kept as a block, it is not a call that waits for a result.
  if (answer.stopReason === 'refusal') return [{ type: 'agent.message', content: [], block }];
  const problem = toolProblem(item, block.name, answer, speaker);
  if (problem !== undefined) {
    return [
      toolUse(block, 'deny'),
      {
        type: 'agent.tool_result',
        tool_use_id: block.id,
        is_error: true,
        content: [{ type: 'text', text: problem }],
      },
    ];
  }
  const offered = speaker.mcpTools.find(({ name }) => name === block.name);
  if (offered !== undefined) return [mcpToolUse(block, offered)];
  const grant = grantFor(speaker.agent, block.name);
  return [
    grant?.kind === 'custom' ? customToolUse(block) : toolUse(block, grant?.permission ?? 'deny'),
  ];
}
