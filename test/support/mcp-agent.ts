type Policy = 'always_allow' | 'always_ask';

/** An agent with the tools of one MCP server, `srv`, and what else it is given. */
export function mcpAgent(
  url: string,
  options: { policy?: Policy; tools?: readonly object[] } = {},
) {
  const { policy = 'always_allow', tools = [] } = options;
  return {
    mcp_servers: [{ type: 'url' as const, name: 'srv', url }],
    tools: [
      {
        type: 'mcp_toolset' as const,
        mcp_server_name: 'srv',
        default_config: { permission_policy: { type: policy } },
      },
      ...(tools as []),
    ],
  };
}
