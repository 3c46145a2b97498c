/** Client-side tools of `agent_toolset_20260401`, run in the session's hand. */
export const HAND_TOOLS = ['bash', 'read', 'write', 'edit', 'glob', 'grep'] as const;
