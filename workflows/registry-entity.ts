import type {
  QueryDefinition,
  UpdateDefinition,
  WorkflowDefinitionOptions,
} from '@temporalio/common';
import {
  ApplicationFailure,
  condition,
  continueAsNew,
  currentUpdateInfo,
  setHandler,
  setWorkflowOptions,
  workflowInfo,
} from '@temporalio/workflow';
import { z } from 'zod';
import { AgentDefinition } from '../protocol/agent.ts';
import { describeIssues } from '../protocol/describe-issues.ts';
import { EnvironmentDefinition } from '../protocol/environment.ts';
import { FAILURE } from '../protocol/failure.ts';
import { checkUpdateId } from '../protocol/ids.ts';
import { agentMessages, environmentMessages, type RegistryEntry } from '../protocol/messages.ts';
import { jsonBytes } from '../protocol/oversized.ts';
import { describeUndecodable, isUndecodable } from '../protocol/undecodable.ts';
import { holdUnread } from './hold-unread.ts';
import { isVersioned } from './is-versioned.ts';

/** The server allows 2,000 updates in one run. */
const UPDATES_PER_RUN = 1_000;

const MAX_RECENT_UPDATES = 1_000;

/** All versions travel with a roll-over, whose input the server limits to 2 MB. */
const MAX_VERSIONS_BYTES = 1_000_000;

interface Version<Definition> {
  readonly definition: Definition;
  readonly created_at: string;
}

interface RegistryState<Definition> {
  versions: readonly Version<Definition>[];
  archived_at: string | null;
  /** Newest last: Temporal knows a repeated update id within one run only. */
  recent_updates?: readonly RecentVersion[];
}

interface RecentVersion {
  readonly id: string;
  readonly version: number;
}

interface Kind<Definition, Input> {
  readonly update: UpdateDefinition<RegistryEntry<Definition>, [Input]>;
  readonly archive: UpdateDefinition<RegistryEntry<Definition>, []>;
  readonly get: QueryDefinition<RegistryEntry<Definition> | undefined, [version?: number]>;
  readonly parse: (value: unknown) => z.ZodSafeParseResult<Definition>;
  readonly invalid: string;
  readonly archived: string;
}

/** A registered agent: created by starting it with its first definition. Never ends. */
export async function agent(input: unknown): Promise<void> {
  await registryEntity(input, {
    ...agentMessages,
    parse: (value) => AgentDefinition.safeParse(value),
    invalid: FAILURE.agentInvalid,
    archived: FAILURE.agentArchived,
  });
}

/** A registered environment, likewise. */
export async function environment(input: unknown): Promise<void> {
  await registryEntity(input, {
    ...environmentMessages,
    parse: (value) => EnvironmentDefinition.safeParse(value),
    invalid: FAILURE.environmentInvalid,
    archived: FAILURE.environmentArchived,
  });
}

setWorkflowOptions(versioning, agent);
setWorkflowOptions(versioning, environment);

/**
 * Entities live for ever and only answer: pinned as sessions are, they would keep the first version
 * of the worker from ever retiring. A worker without versions refuses any behavior.
 */
function versioning(): WorkflowDefinitionOptions {
  return isVersioned() ? { versioningBehavior: 'AUTO_UPGRADE' } : {};
}

async function registryEntity<Definition, Input>(
  input: unknown,
  kind: Kind<Definition, Input>,
): Promise<void> {
  const state = openState(input, kind);
  let updates = 0;
  setHandler(kind.get, (version) => toEntry(state, version));
  setHandler(
    kind.update,
    (definition) => {
      holdUnread(definition, 'definition');
      updates += 1;
      const earlier = versionOfUpdate(state);
      if (earlier !== undefined) return entryAt(state, earlier);
      const version = toVersion(parseDefinition(definition, kind));
      state.versions = [...state.versions, version];
      remember(state);
      return latestEntry(state);
    },
    {
      validator: (definition: Input) => {
        if (versionOfUpdate(state) === undefined) checkUpdate(state, definition, kind);
      },
    },
  );
  setHandler(kind.archive, () => {
    updates += 1;
    state.archived_at ??= now();
    return latestEntry(state);
  });
  await condition(() => updates >= UPDATES_PER_RUN);
  await continueAsNew({ rolled_over: state });
}

/** What a roll-over wrote, told from a person's definition by its one key. */
const RolledOver = z.strictObject({ rolled_over: z.record(z.string(), z.unknown()) });

function openState<Definition, Input>(
  input: unknown,
  kind: Kind<Definition, Input>,
): RegistryState<Definition> {
  holdUnread(input, 'definition');
  const rolledOver = RolledOver.safeParse(input);
  if (rolledOver.success)
    return rolledOver.data.rolled_over as unknown as RegistryState<Definition>;
  const versions = [toVersion(parseDefinition(input, kind))];
  checkSize(versions, kind);
  return { versions, archived_at: null };
}

function parseDefinition<Definition, Input>(
  value: unknown,
  kind: Kind<Definition, Input>,
): Definition {
  const parsed = kind.parse(value);
  if (parsed.success) return parsed.data;
  const problem = isUndecodable(value)
    ? describeUndecodable(value, 'definition')
    : describeIssues(parsed.error, 'definition');
  throw failure(kind.invalid, problem);
}

function checkUpdate<Definition, Input>(
  state: RegistryState<Definition>,
  definition: Input,
  kind: Kind<Definition, Input>,
): void {
  const problem = checkUpdateId(updateId());
  if (problem !== undefined) throw failure(kind.invalid, problem);
  if (state.archived_at !== null) {
    throw failure(kind.archived, `archived at ${state.archived_at}; create another one`);
  }
  checkSize([...state.versions, toVersion(parseDefinition(definition, kind))], kind);
}

function checkSize<Definition, Input>(
  versions: readonly Version<Definition>[],
  kind: Kind<Definition, Input>,
): void {
  const bytes = jsonBytes(versions);
  if (bytes <= MAX_VERSIONS_BYTES) return;
  throw failure(
    kind.invalid,
    `definition: all versions together are ${bytes} bytes as JSON, over the limit of ` +
      `${MAX_VERSIONS_BYTES}; shorten it, or create another one`,
  );
}

function versionOfUpdate({ recent_updates = [] }: RegistryState<unknown>): number | undefined {
  const id = updateId();
  return recent_updates.find((update) => update.id === id)?.version;
}

function remember(state: RegistryState<unknown>): void {
  const { recent_updates = [], versions } = state;
  const update = { id: updateId(), version: versions.length };
  state.recent_updates = [...recent_updates, update].slice(-MAX_RECENT_UPDATES);
}

function updateId(): string {
  const info = currentUpdateInfo();
  if (info === undefined) throw new TypeError('a registry entity is changed by updates alone');
  return info.id;
}

function toVersion<Definition>(definition: Definition): Version<Definition> {
  return { definition, created_at: now() };
}

function latestEntry<Definition>(state: RegistryState<Definition>): RegistryEntry<Definition> {
  return entryAt(state, state.versions.length);
}

function entryAt<Definition>(
  state: RegistryState<Definition>,
  version: number,
): RegistryEntry<Definition> {
  const entry = toEntry(state, version);
  if (entry === undefined) throw new TypeError(`a registry entity without version ${version}`);
  return entry;
}

function toEntry<Definition>(
  state: RegistryState<Definition>,
  version = state.versions.length,
): RegistryEntry<Definition> | undefined {
  const wanted = state.versions[version - 1];
  const first = state.versions[0];
  if (wanted === undefined || first === undefined) return undefined;
  return {
    id: workflowInfo().workflowId.replace(/^(agent|environment)-/, ''),
    version,
    definition: wanted.definition,
    created_at: first.created_at,
    updated_at: wanted.created_at,
    archived_at: state.archived_at,
  };
}

function now(): string {
  return new Date().toISOString();
}

function failure(type: string, message: string): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true });
}
