import { setCurrentDetails } from '@temporalio/workflow';
import { type AgentReference, DEFAULT_AGENT, type ResolvedAgent } from '../protocol/agent.ts';
import {
  DEFAULT_ENVIRONMENT,
  type EnvironmentReference,
  type ResolvedEnvironment,
} from '../protocol/environment.ts';
import type { ResolveInput } from '../protocol/model-step.ts';
import type { SessionInput } from '../protocol/session.ts';
import { resolve } from './activities.ts';
import type { SessionState } from './session-state.ts';

/**
 * Fixes agent and environment for the whole session. Registered ones are resolved into this
 * session's own history, so that it never changes under its feet.
 *
 * @throws ActivityFailure when the registry has no such entity.
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
