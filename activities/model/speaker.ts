import type { AgentDefinition } from '../../protocol/agent.ts';
import type { ToolHand } from '../../protocol/tool-hands.ts';
import type { OfferedTool } from './context/offered-tools.ts';

/** Who is asked, and what it can name besides what the agent's definition says. */
export interface Speaker {
  readonly agent: AgentDefinition;
  /** Hands that the toolset's tools can be told to use. */
  readonly hands: readonly ToolHand[];
  readonly mcpTools: readonly OfferedTool[];
}
