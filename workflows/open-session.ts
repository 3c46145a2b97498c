import { ApplicationFailure, setCurrentDetails } from '@temporalio/workflow';
import { type AgentReference, DEFAULT_AGENT, type ResolvedAgent } from '../protocol/agent.ts';
import { DEFAULT_ENVIRONMENT, type ResolvedEnvironment } from '../protocol/environment.ts';
import { FAILURE } from '../protocol/failure.ts';
import { MAIN_HAND } from '../protocol/hand.ts';
import { handSourcesOf } from '../protocol/hand-sources.ts';
import type { ResolveInput } from '../protocol/model-step.ts';
import { jsonBytes } from '../protocol/oversized.ts';
import type { SessionInput } from '../protocol/session.ts';
import { handNames } from '../protocol/tool-hands.ts';
import { resolve } from './activities.ts';
import type { SessionState } from './session-state.ts';

const MAX_DEFINITION_BYTES = 1_000_000;

/**
 * Fixes agent and environment for the whole session. Registered ones are resolved into this
 * session's own history, so that it never changes under its feet.
 *
 * @throws ActivityFailure when the registry has no such entity.
 * @throws ApplicationFailure when the definitions are too large to be carried on, or a tool's hand
 * does not exist.
 */
export async function openSession(state: SessionState, input: SessionInput): Promise<void> {
  setCurrentDetails(state.details.text());
  if (input.continued !== undefined) return;
  const agent = agentReference(input);
  const { inline, references, passed } = handSourcesOf(input);
  const { [MAIN_HAND]: environment, ...environments } = references;
  const hasOthers = Object.keys(environments).length > 0;
  const wanted: ResolveInput = {
    ...(agent === undefined ? {} : { agent }),
    ...(environment === undefined ? {} : { environment }),
    ...(hasOthers ? { environments } : {}),
  };
  const resolved = Object.keys(wanted).length > 0 ? await resolve(wanted) : {};
  const { [MAIN_HAND]: main = NONE, ...others } = inline;
  state.agent = resolved.agent ?? inlineAgent(input);
  state.environment = resolved.environment ?? main;
  state.environments = { ...others, ...resolved.environments };
  for (const [name, hand] of Object.entries(passed)) {
    state.borrowed.set(name, { hand, is_lost: false });
  }
  checkToolHands(state);
  checkCarried(state, input);
}

const NONE: ResolvedEnvironment = { id: null, version: null, definition: DEFAULT_ENVIRONMENT };

function checkToolHands(state: SessionState): void {
  const names = handNames(state.sessionHands());
  for (const tool of state.agent?.definition.tools ?? []) {
    if (tool.type !== 'custom' || tool.hand === undefined || names.includes(tool.hand)) continue;
    throw invalid(
      `input.hands: tool "${tool.name}" of the agent runs on hand "${tool.hand}", which the session ` +
        `does not have; it has ${names.join(', ')}. Add the hand, or name another one in the tool.`,
    );
  }
}

/** A definition goes with every roll-over, beside whatever else is carried then. */
function checkCarried(state: SessionState, { metadata }: SessionInput): void {
  const { agent, environment, environments, resources, vaultIds } = state;
  const bytes = jsonBytes({ agent, environment, environments, resources, vaultIds, metadata });
  if (bytes <= MAX_DEFINITION_BYTES) return;
  throw invalid(
    `input: agent, environments, resources, vault_ids and metadata are ${bytes} bytes as JSON, over the limit ` +
      `of ${MAX_DEFINITION_BYTES}. Put long instructions into initial_events or a file in the workspace.`,
  );
}

function agentReference({ agent }: SessionInput): AgentReference | undefined {
  return agent !== undefined && 'type' in agent ? agent : undefined;
}

function inlineAgent(input: SessionInput): ResolvedAgent {
  const definition =
    input.agent === undefined || 'type' in input.agent ? DEFAULT_AGENT : input.agent;
  return { id: null, version: null, definition };
}

function invalid(message: string): ApplicationFailure {
  const type = FAILURE.sessionInvalidInput;
  return ApplicationFailure.create({ type, message, nonRetryable: true });
}
