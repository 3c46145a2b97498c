import { expect, test } from 'vitest';
import { AgentDefinition } from '../../protocol/agent.ts';
import { describeIssues } from '../../protocol/describe-issues.ts';

const server = (name: string, url = 'https://mcp.example.com/mcp') => ({ type: 'url', name, url });
const toolset = (name: string) => ({ type: 'mcp_toolset', mcp_server_name: name });
const custom = (name: string, more: object = {}) => ({
  type: 'custom',
  name,
  description: '',
  input_schema: { type: 'object' },
  ...more,
});

test.each([
  [{ mcp_servers: [server('a')], tools: [toolset('a')] }, undefined],
  [{ tools: [custom('x', { task_queue: 'drover-tools-a' })] }, undefined],
  [{ tools: [toolset('a')] }, 'agent.tools[0].mcp_server_name: there is no "a" among mcp_servers'],
  [
    { mcp_servers: [server('a')] },
    'agent.mcp_servers[0].name: no tool of type mcp_toolset names "a"',
  ],
  [
    { mcp_servers: [server('a'), server('a')], tools: [toolset('a')] },
    'agent.mcp_servers[1].name: "a" is taken',
  ],
  [
    { mcp_servers: [server('a')], tools: [toolset('a'), toolset('a')] },
    'agent.tools[1].mcp_server_name: "a" has a toolset already',
  ],
  [
    { mcp_servers: [server('a', 'https://user:secret@mcp.example.com/')], tools: [toolset('a')] },
    'agent.mcp_servers[0].url: must be the http or https URL of an MCP server, without name, password or fragment',
  ],
  [
    { mcp_servers: [server('a', 'file:///etc/passwd')], tools: [toolset('a')] },
    'agent.mcp_servers[0].url: must be the http or https URL of an MCP server, without name, password or fragment',
  ],
  [
    { mcp_servers: Array.from({ length: 21 }, (_, index) => server(`s${index}`)) },
    'agent.mcp_servers: holds 21 MCP servers; at most 20 are allowed',
  ],
  [
    { tools: [custom('bash')] },
    'agent.tools[0].name: "bash" is taken by another tool; choose another name',
  ],
  [
    { tools: [custom('x', { task_queue: 'drover-vault' })] },
    'agent.tools[0].task_queue: must start with drover-tools-',
  ],
  [
    { tools: [custom('x', { task_queue: 'drover-tools-a', hand: 'gpu' })] },
    'agent.tools[0].task_queue: cannot be given beside hand: a tool is run in one place',
  ],
])('%j → %s', (agent, problem) => {
  const parsed = AgentDefinition.safeParse(agent);
  expect(parsed.success ? undefined : describeIssues(parsed.error, 'agent')).toBe(problem);
});
