import { createFolderRecords } from './folder/folder-records.ts';
import { createKvRecords } from './kv/kv-records.ts';
import type { VaultRecords } from './records.ts';
import type { VaultSettings } from './settings.ts';

/** What the settings name. Nothing is asked of it yet. */
export function openRecords({ backend }: VaultSettings): VaultRecords {
  return backend.type === 'folder' ? createFolderRecords(backend) : createKvRecords(backend);
}
