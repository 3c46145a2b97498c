import { z } from 'zod';
import { type McpTool, type McpToolset, mcpPermission } from '../../protocol/mcp.ts';
import { jsonBytes } from '../../protocol/oversized.ts';
import { inputSchemaProblem } from './input-schema.ts';
import type { Redactor } from './redactor.ts';

const MAX_TOOLS = 500;
const MAX_NAME_LENGTH = 256;
const MAX_TOOL_BYTES = 64_000;
/** A list is one result in history, and stands in every request to the model. */
const MAX_LIST_BYTES = 800_000;
const SHOWN_PROBLEMS = 10;

export interface CheckedTools {
  readonly tools: readonly McpTool[];
  /** What is not offered to the model, and why; undefined when everything is. */
  readonly problem: string | undefined;
}

const Tool = z.looseObject({
  name: z.string().min(1),
  description: z.string().optional(),
  inputSchema: z.unknown().optional(),
});

/** Takes what can be offered to a model out of a server's list: one bad tool costs only itself. */
export function checkTools(
  listed: readonly unknown[],
  toolset: McpToolset,
  redactor: Redactor,
): CheckedTools {
  const tools: McpTool[] = [];
  const problems: string[] = [];
  const names = new Set<string>();
  let room = MAX_LIST_BYTES;
  let left = 0;
  for (const [index, raw] of listed.entries()) {
    const name = nameOf(raw);
    if (name !== undefined && mcpPermission(toolset, name) === undefined) continue;
    // Looking at a schema takes time: not for what is left out in any case.
    if (tools.length >= MAX_TOOLS || room <= 0) {
      left += 1;
      continue;
    }
    const checked = checkTool(redactor.redactJson(raw), { index, names });
    if ('problem' in checked) {
      problems.push(checked.problem);
      continue;
    }
    const { tool } = checked;
    names.add(tool.name);
    room -= jsonBytes(tool);
    if (room < 0) left += 1;
    else tools.push(tool);
  }
  return { tools, problem: describe(problems, { left, offered: tools.length }) };
}

type Checked = { readonly tool: McpTool } | { readonly problem: string };

interface Listed {
  readonly index: number;
  /** Of the tools before it. */
  readonly names: ReadonlySet<string>;
}

function nameOf(raw: unknown): string | undefined {
  const name: unknown = Object(raw).name;
  return typeof name === 'string' && name !== '' ? name : undefined;
}

function checkTool(raw: unknown, { index, names }: Listed): Checked {
  const name = nameOf(raw);
  if (name === undefined) return { problem: `tool ${index + 1} of the list: it has no name` };
  if (names.has(name)) return { problem: `${show(name)}: it is listed twice` };
  const parsed = Tool.safeParse(raw);
  if (!parsed.success) return { problem: `${show(name)}: its description is no text` };
  const { description, inputSchema } = parsed.data;
  const problem = sizeProblem(parsed.data) ?? inputSchemaProblem(inputSchema);
  if (problem !== undefined) return { problem: `${show(name)}: ${problem}` };
  const input_schema = inputSchema as McpTool['input_schema'];
  if (description === undefined || description.trim() === '') {
    return { tool: { name, input_schema } };
  }
  return { tool: { name, description, input_schema } };
}

function sizeProblem(tool: z.infer<typeof Tool>): string | undefined {
  const { name, description, inputSchema } = tool;
  if (name.length > MAX_NAME_LENGTH) return `its name has ${name.length} characters`;
  const bytes = jsonBytes([description, inputSchema]);
  if (bytes <= MAX_TOOL_BYTES) return undefined;
  return `its description and schema are ${bytes} bytes, over the limit of ${MAX_TOOL_BYTES}`;
}

function describe(
  problems: readonly string[],
  { left, offered }: { readonly left: number; readonly offered: number },
): string | undefined {
  const more = problems.length - SHOWN_PROBLEMS;
  const words = [
    ...problems.slice(0, SHOWN_PROBLEMS),
    ...(more > 0 ? [`and ${more} more that cannot be offered`] : []),
    ...(left > 0
      ? [
          `${left} tools after the first ${offered}: that is as many as one server may offer. ` +
            'Enable those that are needed by name, in configs of its toolset, and no others',
        ]
      : []),
  ];
  return words.length === 0 ? undefined : words.join('; ');
}

function show(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}
