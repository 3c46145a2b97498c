import type { AgentDefinition, Assumption } from '../../protocol/agent.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';
import { applyAssumptions } from './context/assumptions.ts';
import { withCacheBreakpoints } from './context/cache-breakpoints.ts';
import { toMessages } from './context/messages.ts';
import type { MessagesRequest } from './context/messages-request.ts';
import { toSteps } from './context/session-step.ts';
import { toTools } from './context/tools.ts';
import type { Speaker } from './speaker.ts';

export interface BuiltRequest {
  readonly request: MessagesRequest;
  /** Named assumptions that shaped it. */
  readonly assumptions: readonly Assumption[];
}

/**
 * What the model sees of the log. Pure, and stable: the request of a later step begins with this
 * one, byte by byte, but for the cache marks.
 */
export function buildRequest(speaker: Speaker, events: readonly SessionEvent[]): BuiltRequest {
  const { steps, assumptions } = applyAssumptions(speaker.agent, toSteps(events));
  const request = { ...settings(speaker), messages: toMessages(steps) };
  return { request: withCacheBreakpoints(request), assumptions };
}

function settings(speaker: Speaker): Omit<MessagesRequest, 'messages'> {
  const { agent } = speaker;
  const { id, effort, speed } = agent.model;
  const tools = toTools(speaker);
  const betas = neededBetas(agent);
  return {
    model: id,
    max_tokens: agent.max_tokens,
    ...(agent.system ? { system: [{ type: 'text', text: agent.system }] } : {}),
    ...(tools.length > 0 ? { tools } : {}),
    ...(agent.thinking === undefined ? {} : { thinking: agent.thinking }),
    ...(effort === undefined ? {} : { output_config: { effort } }),
    ...(speed === undefined ? {} : { speed }),
    ...(betas.length > 0 ? { betas } : {}),
  };
}

/** Adaptive thinking interleaves with tools by itself; a fixed budget has to be told to. */
function neededBetas(agent: AgentDefinition): string[] {
  return [
    ...(agent.model.speed === undefined ? [] : ['fast-mode-2026-02-01']),
    ...(agent.thinking?.type === 'enabled' ? ['interleaved-thinking-2025-05-14'] : []),
  ];
}
