import { type AgentDefinition, HAND_TOOLS, SERVER_TOOLS } from '../../protocol/agent.ts';
import type { ModelStopReason } from '../../protocol/session-event.ts';
import { grantFor } from '../../protocol/tool-permission.ts';
import type { Answer, AnswerBlock } from './answer.ts';

/** Characters of a broken input that are shown to the model: it knows the beginning. */
const SHOWN_INPUT_CHARACTERS = 200;

/** Why a tool use cannot run, in words for the model; undefined when it can. */
export function toolProblem(
  item: AnswerBlock,
  toolName: string,
  answer: Answer,
  agent: AgentDefinition,
): string | undefined {
  if (grantFor(agent, toolName) === undefined) return unknownTool(toolName, agent);
  if (item.inputProblem !== undefined) return badInput(item, toolName, answer.stopReason);
  return isCutBeforeInput(item, answer) ? cutInput(toolName) : undefined;
}

/** Names of the tools that the model may call, in the order of the request. */
function toolNames(agent: AgentDefinition): string[] {
  const custom = agent.tools.flatMap((tool) => (tool.type === 'custom' ? [tool.name] : []));
  return [...HAND_TOOLS, ...SERVER_TOOLS, ...custom].filter(
    (name) => grantFor(agent, name) !== undefined,
  );
}

function unknownTool(toolName: string, agent: AgentDefinition): string {
  const names = toolNames(agent);
  const known = names.length === 0 ? 'There are no tools.' : `The tools are: ${names.join(', ')}.`;
  return `There is no tool named "${toolName}", so nothing was run. ${known}`;
}

function badInput(item: AnswerBlock, toolName: string, stopReason: ModelStopReason | null): string {
  if (stopReason === 'max_tokens') return cutInput(toolName);
  const end = item.inputText.slice(-SHOWN_INPUT_CHARACTERS);
  return (
    `The input of "${toolName}" is not valid JSON, so nothing was run: ${item.inputProblem}. ` +
    `It ended with: ${end}`
  );
}

/** A tool without arguments has no input text either; only the last block can be a cut one. */
function isCutBeforeInput(item: AnswerBlock, answer: Answer): boolean {
  return (
    answer.stopReason === 'max_tokens' &&
    item === answer.blocks.at(-1) &&
    item.inputText === '' &&
    'input' in item.block &&
    Object.keys(Object(item.block.input)).length === 0
  );
}

function cutInput(toolName: string): string {
  return (
    `The input of "${toolName}" was cut off at the output limit, so nothing was run. ` +
    'Send it in smaller parts.'
  );
}
