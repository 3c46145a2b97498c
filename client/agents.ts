import { AgentDefinition, type AgentInput } from '../protocol/agent.ts';
import { agentMessages } from '../protocol/messages.ts';
import { WORKFLOW_TYPE } from '../protocol/workflow-type.ts';
import { createRegistry, type Registry } from './registry.ts';
import type { Requests } from './requests.ts';

/** Registered agents; an agent's versions never change once they exist. */
export type Agents = Registry<AgentDefinition, AgentInput>;

export function createAgents(requests: Requests): Agents {
  const type = WORKFLOW_TYPE.agent;
  return createRegistry(requests, { type, schema: AgentDefinition, messages: agentMessages });
}
