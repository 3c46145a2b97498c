import { assertNever } from '../../../protocol/assert-never.ts';
import type {
  ContentBlock,
  EventOfType,
  ModelStopReason,
  SessionEvent,
} from '../../../protocol/session-event.ts';
import { toBlocks } from '../event-block.ts';

export type Seen =
  | { readonly type: 'message'; readonly content: EventOfType<'user.message'>['content'] }
  | { readonly type: 'interrupt' }
  /** Text that an assumption put there. */
  | { readonly type: 'note'; readonly text: string };

export type ToolResult =
  | EventOfType<'agent.tool_result'>
  | EventOfType<'agent.mcp_tool_result'>
  | EventOfType<'user.custom_tool_result'>;

/** One model request as the log knows it: what it saw for the first time, and what came of it. */
export interface SessionStep {
  readonly seen: readonly Seen[];
  /** Blocks as the model said them; empty when the request failed or is still to be made. */
  readonly answer: readonly ContentBlock[];
  readonly stopReason: ModelStopReason | null;
  /** By tool use id: results of the calls of this answer. */
  readonly results: ReadonlyMap<string, ToolResult>;
}

interface OpenStep {
  readonly seen: Seen[];
  readonly answer: ContentBlock[];
  stopReason: ModelStopReason | null;
  readonly results: Map<string, ToolResult>;
}

/**
 * Orders the log by what the model saw: a step takes all that arrived since the request before it
 * began, so a message sent while the model spoke belongs to the next step, behind its answer and
 * the results of its tools. The last step is the one to be made.
 */
export function toSteps(events: readonly SessionEvent[]): readonly SessionStep[] {
  const steps: OpenStep[] = [];
  let next = newStep();
  let isIdle = true;
  for (const event of events) {
    switch (event.type) {
      case 'span.model_request_start':
        steps.push(next);
        next = newStep();
        break;
      case 'span.model_request_end':
        setStopReason(steps.at(-1), event.stop_reason);
        break;
      case 'user.message':
        next.seen.push({ type: 'message', content: event.content });
        break;
      case 'user.interrupt':
        // While nothing runs and nothing waits there is nothing to interrupt.
        if (!isIdle) next.seen.push({ type: 'interrupt' });
        break;
      case 'session.status_running':
        isIdle = false;
        break;
      case 'session.status_idle':
        isIdle = event.stop_reason.type !== 'requires_action';
        break;
      default:
        addAnswerOrResult(steps, event);
    }
  }
  return [...steps, next];
}

function newStep(): OpenStep {
  return { seen: [], answer: [], stopReason: null, results: new Map() };
}

function setStopReason(step: OpenStep | undefined, stopReason: ModelStopReason): void {
  if (step !== undefined) step.stopReason = stopReason;
}

function addAnswerOrResult(steps: OpenStep[], event: SessionEvent): void {
  const blocks = toBlocks(event);
  if (blocks.length > 0) steps.at(-1)?.answer.push(...blocks);
  else if (isToolResult(event)) addResult(steps, event);
}

function isToolResult(event: SessionEvent): event is SessionEvent & ToolResult {
  return (
    event.type === 'agent.tool_result' ||
    event.type === 'agent.mcp_tool_result' ||
    event.type === 'user.custom_tool_result'
  );
}

/** The first result wins: a later one, of a retried call or a second client, is not shown. */
function addResult(steps: OpenStep[], result: ToolResult): void {
  const id = toolUseIdOf(result);
  const step = steps.findLast(({ answer }) =>
    answer.some((block) => block.type === 'tool_use' && block.id === id),
  );
  if (step !== undefined && !step.results.has(id)) step.results.set(id, result);
}

function toolUseIdOf(result: ToolResult): string {
  switch (result.type) {
    case 'agent.tool_result':
      return result.tool_use_id;
    case 'agent.mcp_tool_result':
      return result.mcp_tool_use_id;
    case 'user.custom_tool_result':
      return result.custom_tool_use_id;
    default:
      return assertNever(result);
  }
}
