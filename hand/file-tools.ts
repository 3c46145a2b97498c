import type { HandTool } from './tool.ts';
import type { CallResult } from './wire.ts';

/** The SDK's tools, loaded at their first call: they are most of what a hand would wait for at its start. */
type Toolset = typeof import('@anthropic-ai/sdk/tools/agent-toolset/node');

const FILE_TOOLS = {
  read: { hasEffects: false },
  write: { hasEffects: true },
  edit: { hasEffects: true },
  glob: { hasEffects: false },
  grep: { hasEffects: false },
} as const;

export interface FileToolsOptions {
  readonly folder: string;
  /** Further folders that the tools may reach. */
  readonly roots: readonly string[];
}

export interface FileTools {
  readonly tools: Readonly<Record<string, HandTool>>;
  /** Loads the toolset before it is needed. */
  preload(): Promise<void>;
}

/** read, write, edit, glob and grep as `agent_toolset_20260401` has them. */
export function createFileTools(options: FileToolsOptions): FileTools {
  let loading: Promise<ReadonlyMap<string, RunnableTool>> | undefined;
  const load = (): Promise<ReadonlyMap<string, RunnableTool>> => {
    loading ??= import('@anthropic-ai/sdk/tools/agent-toolset/node').then((toolset) =>
      bind(toolset, options),
    );
    return loading;
  };
  const entries = Object.entries(FILE_TOOLS).map(([name, { hasEffects }]): [string, HandTool] => [
    name,
    {
      hasEffects,
      async run(input, call) {
        const tool = (await load()).get(name);
        call.onStart();
        return runTool(tool, name, input, call.signal);
      },
    },
  ]);
  return {
    tools: Object.fromEntries(entries),
    preload: async () => void (await load()),
  };
}

type RunnableTool = ReturnType<Toolset['betaAgentToolset20260401']>[number];

function bind(toolset: Toolset, options: FileToolsOptions): ReadonlyMap<string, RunnableTool> {
  const tools = toolset.betaAgentToolset20260401({
    workdir: options.folder,
    allowedRoots: [...options.roots],
  });
  return new Map(tools.flatMap((tool) => ('name' in tool ? [[tool.name, tool]] : [])));
}

async function runTool(
  tool: RunnableTool | undefined,
  name: string,
  input: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<CallResult> {
  if (tool === undefined) return { text: `${name}: not in this toolset`, is_error: true };
  try {
    const toolUse = {
      type: 'tool_use' as const,
      id: '',
      name,
      input,
      caller: { type: 'direct' as const },
    };
    const output = await tool.run(input, { toolUse, toolUseBlock: toolUse, signal });
    return { text: typeof output === 'string' ? output : JSON.stringify(output), is_error: false };
  } catch (error) {
    return { text: error instanceof Error ? error.message : String(error), is_error: true };
  }
}
