import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readVaultSettings, type VaultSettings } from '../../vault/settings.ts';

export interface VaultFolder {
  readonly path: string;
  /** As workers and commands are told of it. */
  readonly variables: Readonly<Record<string, string>>;
  settings(more?: Readonly<Record<string, string>>): VaultSettings;
  remove(): Promise<void>;
}

/** A vault of a test's own. */
export async function makeVaultFolder(
  also: Readonly<Record<string, string>> = {},
): Promise<VaultFolder> {
  const parent = await mkdtemp(join(tmpdir(), 'drover-vault-'));
  const path = join(parent, 'vault');
  const variables = { DROVER_VAULT: pathToFileURL(path).href, ...also };
  return {
    path,
    variables,
    settings: (more = {}) => readVaultSettings({ ...variables, ...more }, parent),
    remove: () => rm(parent, { recursive: true, force: true }),
  };
}
