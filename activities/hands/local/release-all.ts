import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { endSupervisor } from './end-supervisor.ts';
import { handFolder, handsFolder } from './hand-folder.ts';
import { readRecord } from './supervisor-record.ts';

/** Ends every hand of a state folder. Workspaces are kept. */
export async function releaseAll(stateFolder: string): Promise<void> {
  if (!existsSync(stateFolder)) return;
  const folder = realpathSync(stateFolder);
  if (!existsSync(handsFolder(folder))) return;
  const records = readdirSync(handsFolder(folder)).map((name) =>
    readRecord(handFolder(folder, name).root),
  );
  await Promise.all(records.map(async (record) => record && endSupervisor(record)));
}
