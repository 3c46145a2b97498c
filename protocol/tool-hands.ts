import type { AgentDefinition } from './agent.ts';
import type { ResolvedEnvironment } from './environment.ts';
import { MAIN_HAND, type PassedHand, type ToolCall } from './hand.ts';

/** What a session's hands are made of, or whose they are. */
export interface SessionHands {
  /** Of hand `main`; null until the registry has answered. */
  readonly environment: ResolvedEnvironment | null;
  /** Of the session's other hands, by name. */
  readonly environments: Readonly<Record<string, ResolvedEnvironment>>;
  /** Hands of other sessions, by the name they have in this one. */
  readonly passed: Readonly<Record<string, PassedHand>>;
}

/** A hand as the toolset's tools offer it to the model. */
export interface ToolHand {
  readonly name: string;
  readonly description: string | null;
}

/** Names of a session's hands: `main` first, then in the order of the alphabet. */
export function handNames({ environments, passed }: Omit<SessionHands, 'environment'>): string[] {
  const others = [...Object.keys(environments), ...Object.keys(passed)];
  return [MAIN_HAND, ...others.filter((name) => name !== MAIN_HAND).sort()];
}

/**
 * Hands that the toolset's tools can be told to use; with more than one they take `hand`. A hand
 * that a custom tool names has tools of its own instead.
 */
export function toolHands(agent: AgentDefinition, hands: SessionHands): ToolHand[] {
  const special = new Set(
    agent.tools.flatMap((tool) => (tool.type === 'custom' ? [tool.hand] : [])),
  );
  const names = handNames(hands).filter((name) => name === MAIN_HAND || !special.has(name));
  return names.map((name) => ({ name, description: describeHand(name, hands) }));
}

function describeHand(name: string, hands: SessionHands): string | null {
  const passed = hands.passed[name];
  if (passed !== undefined) return `hand "${passed.name}" of session ${passed.session_id}`;
  const environment = name === MAIN_HAND ? hands.environment : hands.environments[name];
  return environment?.definition.description ?? null;
}

export interface RoutedCall {
  readonly hand: string;
  readonly input: ToolCall['input'];
  /** Somebody's own worker runs it, and no hand. */
  readonly task_queue?: string;
}

/** Where a tool use runs, and with what input: `hand` is the session's, not the tool's. */
export function routeCall(
  agent: AgentDefinition,
  hands: readonly ToolHand[],
  call: Pick<ToolCall, 'name' | 'input'>,
): RoutedCall {
  const custom = agent.tools.find((tool) => tool.type === 'custom' && tool.name === call.name);
  if (custom?.type === 'custom') {
    const { hand = MAIN_HAND, task_queue } = custom;
    return { hand, input: call.input, ...(task_queue === undefined ? {} : { task_queue }) };
  }
  if (hands.length < 2) return { hand: MAIN_HAND, input: call.input };
  const { hand = MAIN_HAND, ...input } = call.input;
  return { hand: String(hand), input };
}
