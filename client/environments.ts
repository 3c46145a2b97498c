import { EnvironmentDefinition, type EnvironmentInput } from '../protocol/environment.ts';
import { environmentMessages } from '../protocol/messages.ts';
import { WORKFLOW_TYPE } from '../protocol/workflow-type.ts';
import { createRegistry, type Registry } from './registry.ts';
import type { Requests } from './requests.ts';

/** Registered environments; an environment's versions never change once they exist. */
export type Environments = Registry<EnvironmentDefinition, EnvironmentInput>;

export function createEnvironments(requests: Requests): Environments {
  return createRegistry(requests, {
    type: WORKFLOW_TYPE.environment,
    schema: EnvironmentDefinition,
    messages: environmentMessages,
  });
}
