import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { EnvironmentDefinition, ResolvedEnvironment } from '../../protocol/environment.ts';
import {
  environmentMessages,
  type RegistryEntry,
  registryWorkflowId,
} from '../../protocol/messages.ts';
import { describeUndecodable, isUndecodable } from '../../protocol/undecodable.ts';
import { WORKFLOW_TYPE } from '../../protocol/workflow-type.ts';

export interface RegisteredEnvironments {
  /** At their latest version, without those that were archived. */
  readonly environments: readonly ResolvedEnvironment[];
  /** False when some could not be read; their last known version is given, if there is one. */
  readonly isComplete: boolean;
}

interface Known {
  /** Grows with each version, and when it is archived. */
  readonly mark: string;
  readonly entry: RegistryEntry<EnvironmentDefinition> | undefined;
}

const UNREAD = '';
const QUERY = `WorkflowType = '${WORKFLOW_TYPE.environment}' AND ExecutionStatus = 'Running'`;

/**
 * Reads all registered environments, again and again: one that has not changed since is not asked,
 * which would cost a workflow task.
 */
export function createEnvironmentReader(client: Client): {
  read(): Promise<RegisteredEnvironments>;
} {
  let known = new Map<string, Known>();

  async function markOf(workflowId: string): Promise<string> {
    const { runId, historyLength } = await client.workflow.getHandle(workflowId).describe();
    return `${runId} ${historyLength}`;
  }

  async function readOne(workflowId: string): Promise<Known> {
    const before = known.get(workflowId);
    const mark = await markOf(workflowId);
    if (before?.mark === mark) return before;
    const entry = await client.workflow.getHandle(workflowId).query(environmentMessages.get);
    if (isUndecodable(entry)) throw new Error(describeUndecodable(entry, workflowId));
    return { mark, entry: entry ?? undefined };
  }

  /** What cannot be read stays as it was known, and is asked again. */
  async function readOrRecall(workflowId: string): Promise<Known | undefined> {
    try {
      return await readOne(workflowId);
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      return { entry: known.get(workflowId)?.entry, mark: UNREAD };
    }
  }

  return {
    async read() {
      const prefix = registryWorkflowId('environment', '');
      const next = new Map<string, Known>();
      for await (const { workflowId } of client.workflow.list({ query: QUERY })) {
        if (!workflowId.startsWith(prefix)) continue;
        const read = await readOrRecall(workflowId);
        if (read !== undefined) next.set(workflowId, read);
      }
      known = next;
      const all = [...next.values()];
      const isComplete = all.every(({ mark }) => mark !== UNREAD);
      return { environments: all.flatMap(toEnvironment), isComplete };
    },
  };
}

function toEnvironment({ entry }: Known): readonly ResolvedEnvironment[] {
  if (entry === undefined || entry.archived_at !== null) return [];
  return [{ id: entry.id, version: entry.version, definition: entry.definition }];
}
