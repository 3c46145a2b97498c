import { randomUUID } from 'node:crypto';
import { WorkflowUpdateRPCTimeoutOrCancelledError } from '@temporalio/client';
import type { QueryDefinition, UpdateDefinition } from '@temporalio/common';
import type { z } from 'zod';
import { describeIssues } from '../protocol/describe-issues.ts';
import { type RegistryEntry, registryWorkflowId } from '../protocol/messages.ts';
import { InvalidInputError } from './errors/invalid-input-error.ts';
import { NotFoundError } from './errors/not-found-error.ts';
import { ServerUnreachableError } from './errors/server-unreachable-error.ts';
import { WorkerMissingError } from './errors/worker-missing-error.ts';
import { listRegistry, type RegistryListing } from './list-registry.ts';
import type { Requests } from './requests.ts';
import { whyUnanswered } from './why-unanswered.ts';

/** Registered agents or environments. All but `create` and `list` need a worker. */
export interface Registry<Definition, Input> {
  /** `options.id` names it, for ever. Default: a new id. */
  create(input: Input, options?: { readonly id?: string }): Promise<{ readonly id: string }>;
  /** The latest version, or the one asked for. */
  get(id: string, options?: { readonly version?: number }): Promise<RegistryEntry<Definition>>;
  /** Newest first. */
  list(options?: { readonly limit?: number }): Promise<RegistryListing[]>;
  /** Appends a version. `options.id` names this change: the same id is applied once. */
  update(
    id: string,
    input: Input,
    options?: { readonly id?: string },
  ): Promise<RegistryEntry<Definition>>;
  /** Sessions that use it go on; new ones cannot. */
  archive(id: string): Promise<RegistryEntry<Definition>>;
}

export interface RegistryKind<Definition, Input> {
  readonly type: 'agent' | 'environment';
  readonly schema: z.ZodType<Definition & { readonly name: string }, Input>;
  readonly messages: {
    readonly update: UpdateDefinition<RegistryEntry<Definition>, [Input]>;
    readonly archive: UpdateDefinition<RegistryEntry<Definition>, []>;
    readonly get: QueryDefinition<RegistryEntry<Definition> | undefined, [version?: number]>;
  };
}

export function createRegistry<Definition, Input>(
  requests: Requests,
  kind: RegistryKind<Definition, Input>,
): Registry<Definition, Input> {
  const handle = (id: string) =>
    requests.client.workflow.getHandle(registryWorkflowId(kind.type, id));
  const answered = <Result>(id: string, request: () => Promise<Result>) =>
    runAnswered(requests, { type: kind.type, id }, request);
  return {
    async create(input, options) {
      const { name } = parse(kind, input);
      const id = options?.id ?? randomUUID();
      await requests.run({ type: kind.type, id }, () =>
        requests.client.workflow.start(kind.type, {
          args: [input],
          taskQueue: requests.taskQueue,
          workflowId: registryWorkflowId(kind.type, id),
          workflowIdReusePolicy: 'REJECT_DUPLICATE',
          memo: { name },
        }),
      );
      return { id };
    },
    async get(id, { version } = {}) {
      const entry = await answered(id, () => handle(id).query(kind.messages.get, version));
      if (entry) return entry;
      throw new NotFoundError({ type: kind.type, id: `${id}" at version "${version}` });
    },
    list: (options) => listRegistry(requests, kind.type, options?.limit),
    async update(id, input, options) {
      parse(kind, input);
      const updateId = options?.id ?? randomUUID();
      return answered(id, () =>
        handle(id).executeUpdate(kind.messages.update, { args: [input], updateId }),
      );
    },
    archive: (id) => answered(id, () => handle(id).executeUpdate(kind.messages.archive)),
  };
}

function parse<Definition, Input>(kind: RegistryKind<Definition, Input>, input: Input) {
  const parsed = kind.schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new InvalidInputError(describeIssues(parsed.error, kind.type));
}

/** A request that a worker answers: without one, an error that says so. */
async function runAnswered<Result>(
  requests: Requests,
  subject: { readonly type: 'agent' | 'environment'; readonly id: string },
  request: () => Promise<Result>,
): Promise<Result> {
  try {
    return await requests.run(subject, request);
  } catch (error) {
    const unanswered =
      error instanceof ServerUnreachableError ||
      error instanceof WorkflowUpdateRPCTimeoutOrCancelledError;
    if (!unanswered) throw error;
    const workflowId = registryWorkflowId(subject.type, subject.id);
    const why = await whyUnanswered(requests, workflowId);
    throw new WorkerMissingError(why, { cause: error });
  }
}
