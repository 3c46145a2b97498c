import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { AgentDefinition, AgentInput } from './agent.ts';
import type { EnvironmentDefinition, EnvironmentInput } from './environment.ts';
import type { SendResult, SessionResource } from './session.ts';
import type { SendInput } from './user-event.ts';

/** Messages of workflow type `session`. */
export const send = defineUpdate<SendResult, [SendInput]>('send');
/** For callers who only have signals: the same events, without an answer. */
export const sendSignal = defineSignal<[SendInput]>('send');
/** Makes an idle session roll over onto the current worker version. */
export const upgrade = defineSignal('upgrade');
export const getSession = defineQuery<SessionResource>('getSession');
/** Whose tokens are good: asked before a credential is used for a hand. */
export const getHeldHands = defineQuery<HeldHands>('getHeldHands');

export interface HeldHands {
  /** Run id of the session's first run. */
  readonly chain_id: string;
  /** Of the session's own hands that are held or being made, by name. */
  readonly generations: Readonly<Record<string, number>>;
}

/** A registered entity: its versions never change once they exist. */
export interface RegistryEntry<Definition> {
  readonly id: string;
  /** The latest version, from 1. */
  readonly version: number;
  readonly definition: Definition;
  readonly created_at: string;
  readonly updated_at: string;
  /** Archived entities keep serving the sessions that use them, and start no new ones. */
  readonly archived_at: string | null;
}

/** Messages of a registry entity. `Input` is a definition as a caller writes it: with defaults. */
function registryMessages<Definition, Input>() {
  return {
    /** Appends a version and returns the entry. */
    update: defineUpdate<RegistryEntry<Definition>, [Input]>('update'),
    archive: defineUpdate<RegistryEntry<Definition>, []>('archive'),
    /** The entry at one version, by default the latest; undefined when it has no such version. */
    get: defineQuery<RegistryEntry<Definition> | undefined, [version?: number]>('get'),
  };
}

/** Messages of workflow type `agent`. */
export const agentMessages = registryMessages<AgentDefinition, AgentInput>();
/** Messages of workflow type `environment`. */
export const environmentMessages = registryMessages<EnvironmentDefinition, EnvironmentInput>();

/** Workflow ids of registry entities: an agent and an environment may share an id. */
export function registryWorkflowId(type: 'agent' | 'environment', id: string): string {
  return `${type}-${id}`;
}
