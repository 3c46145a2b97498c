import type { AgentDefinition } from './agent.ts';
import { HAND_TOOLS } from './hand-tools.ts';

interface Issue {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

type Tools = Pick<AgentDefinition, 'tools' | 'mcp_servers'>;

/** What is wrong with an agent's tools among themselves, and with its MCP servers. */
export function checkAgentTools(agent: Tools): Issue[] {
  return [...takenNames(agent), ...wrongToolsets(agent), ...wrongServers(agent)];
}

function takenNames({ tools }: Tools): Issue[] {
  const names = new Set<string>(HAND_TOOLS);
  return tools.flatMap((tool, index): Issue[] => {
    if (tool.type !== 'custom') return [];
    const isTaken = names.has(tool.name);
    names.add(tool.name);
    if (!isTaken) return [];
    const message = `"${tool.name}" is taken by another tool; choose another name`;
    return [{ path: ['tools', index, 'name'], message }];
  });
}

function wrongToolsets({ tools, mcp_servers = [] }: Tools): Issue[] {
  const seen = new Set<string>();
  return tools.flatMap((tool, index): Issue[] => {
    if (tool.type !== 'mcp_toolset') return [];
    const name = tool.mcp_server_name;
    const path = ['tools', index, 'mcp_server_name'];
    if (seen.has(name)) return [{ path, message: `"${name}" has a toolset already` }];
    seen.add(name);
    if (mcp_servers.some((server) => server.name === name)) return [];
    return [{ path, message: `there is no "${name}" among mcp_servers` }];
  });
}

function wrongServers({ tools, mcp_servers = [] }: Tools): Issue[] {
  const names = mcp_servers.map(({ name }) => name);
  return names.flatMap((name, index): Issue[] => {
    const path = ['mcp_servers', index, 'name'];
    if (names.indexOf(name) < index) return [{ path, message: `"${name}" is taken` }];
    const isOffered = tools.some(
      (tool) => tool.type === 'mcp_toolset' && tool.mcp_server_name === name,
    );
    if (isOffered) return [];
    return [{ path, message: `no tool of type mcp_toolset names "${name}"` }];
  });
}
