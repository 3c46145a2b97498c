import type { Speaker } from '../../activities/model/speaker.ts';
import type { AgentDefinition } from '../../protocol/agent.ts';

/** An agent with nothing but its definition: one hand, no MCP tools. */
export function toSpeaker(agent: AgentDefinition): Speaker {
  return { agent, hands: [], mcpTools: [] };
}
