import { SERVER_TOOLS } from '../../protocol/agent.ts';
import { HAND_TOOLS } from '../../protocol/hand-tools.ts';
import type { ModelStopReason } from '../../protocol/session-event.ts';
import type { ToolHand } from '../../protocol/tool-hands.ts';
import { grantFor } from '../../protocol/tool-permission.ts';
import type { Answer, AnswerBlock } from './answer.ts';
import type { Speaker } from './speaker.ts';

/** Characters of a broken input that are shown to the model: it knows the beginning. */
const SHOWN_INPUT_CHARACTERS = 200;
/** MCP servers may offer hundreds of tools. */
const SHOWN_NAMES = 100;

/** Why a tool use cannot run, in words for the model; undefined when it can. */
export function toolProblem(
  item: AnswerBlock,
  toolName: string,
  answer: Answer,
  speaker: Speaker,
): string | undefined {
  if (!isOffered(toolName, speaker)) return unknownTool(toolName, speaker);
  if (item.inputProblem !== undefined) return badInput(item, toolName, answer.stopReason);
  if (isCutBeforeInput(item, answer)) return cutInput(toolName);
  return unknownHand(item, toolName, speaker.hands);
}

function isOffered(toolName: string, { agent, mcpTools }: Speaker): boolean {
  if (grantFor(agent, toolName) !== undefined) return true;
  return mcpTools.some(({ name }) => name === toolName);
}

/** A custom tool has a hand of its own; `hand` in its input is the tool's matter. */
function unknownHand(
  { block }: AnswerBlock,
  toolName: string,
  hands: readonly ToolHand[],
): string | undefined {
  const isToolset = HAND_TOOLS.some((name) => name === toolName);
  if (!isToolset || hands.length < 2 || !('input' in block)) return undefined;
  const { hand } = Object(block.input);
  if (hand === undefined || hands.some(({ name }) => name === hand)) return undefined;
  const names = hands.map(({ name }) => name).join(', ');
  return `There is no hand ${JSON.stringify(hand)}, so nothing was run. The hands are: ${names}.`;
}

/** Names of the tools that the model may call, in the order of the request. */
function toolNames({ agent, mcpTools }: Speaker): string[] {
  const custom = agent.tools.flatMap((tool) => (tool.type === 'custom' ? [tool.name] : []));
  const own = [...HAND_TOOLS, ...SERVER_TOOLS, ...custom].filter(
    (name) => grantFor(agent, name) !== undefined,
  );
  return [...own, ...mcpTools.map(({ name }) => name)];
}

function unknownTool(toolName: string, speaker: Speaker): string {
  const names = toolNames(speaker);
  const left = names.length - SHOWN_NAMES;
  const shown = names.slice(0, SHOWN_NAMES).join(', ') + (left > 0 ? ` and ${left} more` : '');
  const known = names.length === 0 ? 'There are no tools.' : `The tools are: ${shown}.`;
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
