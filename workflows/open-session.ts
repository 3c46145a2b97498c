import { ApplicationFailure, setCurrentDetails } from '@temporalio/workflow';
import { type AgentReference, DEFAULT_AGENT, type ResolvedAgent } from '../protocol/agent.ts';
import {
  DEFAULT_ENVIRONMENT,
  type EnvironmentReference,
  type ResolvedEnvironment,
} from '../protocol/environment.ts';
import { FAILURE } from '../protocol/failure.ts';
import type { ResolveInput } from '../protocol/model-step.ts';
import { jsonBytes } from '../protocol/oversized.ts';
import type { SessionInput } from '../protocol/session.ts';
import { resolve } from './activities.ts';
import type { SessionState } from './session-state.ts';

const MAX_DEFINITION_BYTES = 1_000_000;

/**
 * Fixes agent and environment for the whole session. Registered ones are resolved into this
 * session's own history, so that it never changes under its feet.
 *
 * @throws ActivityFailure when the registry has no such entity.
 * @throws ApplicationFailure when the definitions are too large to be carried on.
 */
export async function openSession(state: SessionState, input: SessionInput): Promise<void> {
  setCurrentDetails(state.details.text());
  if (input.continued !== undefined) return;
  const agent = isReference(input.agent, 'agent');
  const environment = isReference(input.environment, 'environment');
  const wanted: ResolveInput = {
    ...(agent ? { agent } : {}),
    ...(environment ? { environment } : {}),
  };
  const resolved = agent || environment ? await resolve(wanted) : {};
  state.agent = resolved.agent ?? inlineAgent(input);
  state.environment = resolved.environment ?? inlineEnvironment(input);
  checkCarried(state, input);
}

/** A definition goes with every roll-over, beside whatever else is carried then. */
function checkCarried({ agent, environment }: SessionState, { metadata }: SessionInput): void {
  const bytes = jsonBytes({ agent, environment, metadata });
  if (bytes <= MAX_DEFINITION_BYTES) return;
  throw ApplicationFailure.create({
    type: FAILURE.sessionInvalidInput,
    message:
      `input: agent, environment and metadata are ${bytes} bytes as JSON, over the limit of ` +
      `${MAX_DEFINITION_BYTES}. Put long instructions into initial_events or a file in the workspace.`,
    nonRetryable: true,
  });
}

type Reference = AgentReference | EnvironmentReference;

function isReference<Type extends Reference['type']>(
  source: SessionInput['agent'] | SessionInput['environment'],
  type: Type,
): Extract<Reference, { type: Type }> | undefined {
  if (source === undefined || !('type' in source) || source.type !== type) return undefined;
  return source as Extract<Reference, { type: Type }>;
}

function inlineAgent(input: SessionInput): ResolvedAgent {
  const definition =
    input.agent === undefined || 'type' in input.agent ? DEFAULT_AGENT : input.agent;
  return { id: null, version: null, definition };
}

function inlineEnvironment(input: SessionInput): ResolvedEnvironment {
  const source = input.environment;
  const definition = source === undefined || 'type' in source ? DEFAULT_ENVIRONMENT : source;
  return { id: null, version: null, definition };
}
