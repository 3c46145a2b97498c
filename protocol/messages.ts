import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { AgentDefinition, AgentInput, ResolvedAgent } from './agent.ts';
import type {
  EnvironmentDefinition,
  EnvironmentInput,
  ResolvedEnvironment,
} from './environment.ts';
import type { SendResult, SessionResource } from './session.ts';
import type { SendInput } from './user-event.ts';

/** Messages of workflow type `session`. */
export const send = defineUpdate<SendResult, [SendInput]>('send');
/** For callers who only have signals: the same events, without an answer. */
export const sendSignal = defineSignal<[SendInput]>('send');
/** Makes an idle session roll over onto the current worker version. */
export const upgrade = defineSignal('upgrade');
export const getSession = defineQuery<SessionResource>('getSession');

/** A registry entity (`agent`, `environment`): its versions never change once they exist. */
export interface RegistryEntry<Definition> {
  readonly id: string;
  readonly archived_at: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  /** The latest version, from 1. */
  readonly version: number;
  readonly definition: Definition;
}

export const updateAgent = defineUpdate<RegistryEntry<AgentDefinition>, [AgentInput]>('update');
export const archiveAgent = defineUpdate<RegistryEntry<AgentDefinition>, []>('archive');
export const getAgent = defineQuery<RegistryEntry<AgentDefinition>, []>('get');
/** One version; undefined when there is none. */
export const getAgentVersion = defineQuery<ResolvedAgent | undefined, [number]>('getVersion');

export const updateEnvironment = defineUpdate<
  RegistryEntry<EnvironmentDefinition>,
  [EnvironmentInput]
>('update');
export const archiveEnvironment = defineUpdate<RegistryEntry<EnvironmentDefinition>, []>('archive');
export const getEnvironment = defineQuery<RegistryEntry<EnvironmentDefinition>, []>('get');
export const getEnvironmentVersion = defineQuery<ResolvedEnvironment | undefined, [number]>(
  'getVersion',
);

/** Workflow ids of registry entities: an agent and an environment may share an id. */
export function agentWorkflowId(id: string): string {
  return `agent-${id}`;
}
export function environmentWorkflowId(id: string): string {
  return `environment-${id}`;
}
