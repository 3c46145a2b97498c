import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { AgentReference, ResolvedAgent } from '../../protocol/agent.ts';
import type { EnvironmentReference, ResolvedEnvironment } from '../../protocol/environment.ts';
import { FAILURE } from '../../protocol/failure.ts';
import {
  agentMessages,
  environmentMessages,
  type RegistryEntry,
  registryWorkflowId,
} from '../../protocol/messages.ts';
import type { BrainActivities } from '../../protocol/model-step.ts';
import { describeUndecodable, isUndecodable } from '../../protocol/undecodable.ts';

type Reference = AgentReference | EnvironmentReference;

const FAILURES = {
  agent: { missing: FAILURE.agentNotFound, archived: FAILURE.agentArchived },
  environment: { missing: FAILURE.environmentNotFound, archived: FAILURE.environmentArchived },
} as const;

/** Reads the registry entities, which are workflows of the same namespace. */
export function createRegistryActivities(deps: {
  client: Client;
}): Pick<BrainActivities, 'resolve'> {
  async function resolveAgent(reference: AgentReference): Promise<ResolvedAgent> {
    const handle = deps.client.workflow.getHandle(registryWorkflowId('agent', reference.id));
    const entry = await read(reference, () => handle.query(agentMessages.get, reference.version));
    return { id: reference.id, version: entry.version, definition: entry.definition };
  }

  async function resolveEnvironment(reference: EnvironmentReference): Promise<ResolvedEnvironment> {
    const handle = deps.client.workflow.getHandle(registryWorkflowId('environment', reference.id));
    const entry = await read(reference, () =>
      handle.query(environmentMessages.get, reference.version),
    );
    return { id: reference.id, version: entry.version, definition: entry.definition };
  }

  return {
    async resolve({ agent, environment, environments = {} }) {
      const [resolvedAgent, resolvedEnvironment, others] = await Promise.all([
        agent === undefined ? undefined : resolveAgent(agent),
        environment === undefined ? undefined : resolveEnvironment(environment),
        Promise.all(
          Object.entries(environments).map(
            async ([hand, reference]) => [hand, await resolveEnvironment(reference)] as const,
          ),
        ),
      ]);
      return {
        ...(resolvedAgent === undefined ? {} : { agent: resolvedAgent }),
        ...(resolvedEnvironment === undefined ? {} : { environment: resolvedEnvironment }),
        ...(others.length === 0 ? {} : { environments: Object.fromEntries(others) }),
      };
    },
  };
}

async function read<Definition>(
  reference: Reference,
  query: () => Promise<RegistryEntry<Definition> | undefined>,
): Promise<RegistryEntry<Definition>> {
  const entry = await query().catch((error: unknown) => {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  });
  const name = `${reference.type} "${reference.id}"`;
  if (isUndecodable(entry)) throw new Error(describeUndecodable(entry, name));
  if (entry == null) {
    const version = reference.version === undefined ? '' : ` version ${reference.version}`;
    throw permanent(
      FAILURES[reference.type].missing,
      `${name} has no${version === '' ? ' entry in the registry' : version}. Create it first, or name one that exists.`,
    );
  }
  if (entry.archived_at !== null) {
    throw permanent(
      FAILURES[reference.type].archived,
      `${name} was archived at ${entry.archived_at} and starts no new sessions. Name another one.`,
    );
  }
  return entry;
}

function permanent(type: string, message: string): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true });
}
