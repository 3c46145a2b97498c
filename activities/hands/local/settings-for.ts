import { randomUUID } from 'node:crypto';
import type { ProvisionInput } from '../../../protocol/hand.ts';
import { findHandFolder } from './hand-folder.ts';
import type { LocalProviderOptions } from './local-provider.ts';
import { hiddenPaths } from './readable-paths.ts';
import { sessionPaths } from './session-paths.ts';
import type { SupervisorSettings } from './supervisor-settings.ts';

/** A supervisor outlives the idle release of its session by this, so that the release comes first. */
const LEASE_MARGIN_MS = 60_000;
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Folders of programs. */
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Of a new instance of a hand. */
export function settingsFor(
  { hand, environment, resources }: ProvisionInput,
  stateFolder: string,
  { isolation, path = SYSTEM_PATH, secretPaths = [] }: LocalProviderOptions,
): SupervisorSettings {
  const { networking, idle_release_seconds } = environment.definition;
  const { notice } = sessionPaths(isolation, findHandFolder(stateFolder, hand));
  const isGivenFiles = resources.some(({ type }) => type === 'file');
  const idleMs = idle_release_seconds * 1000;
  return {
    state_folder: stateFolder,
    session_id: hand.session_id,
    chain_id: hand.chain_id,
    name: hand.name,
    generation: hand.generation,
    instance: randomUUID(),
    isolation,
    networking,
    hidden_paths: hiddenPaths(stateFolder, secretPaths),
    idle_ms: Math.min(idleMs + Math.min(idleMs, LEASE_MARGIN_MS), MAX_TIMER_MS),
    path,
    ...(notice !== undefined && isGivenFiles ? { notice } : {}),
  };
}
