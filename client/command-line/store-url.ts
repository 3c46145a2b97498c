import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { folderUrl } from '../../store/open-store.ts';

/** The store that a worker of this user on this machine has, unless `DROVER_STORE` names another. */
export function storeUrl(variables: NodeJS.ProcessEnv = process.env): string {
  const { DROVER_STORE: url = '', DROVER_STATE_FOLDER: state = '' } = variables;
  if (url !== '') return url;
  const folder = state === '' ? join(homedir(), '.local', 'state', 'drover') : resolve(state);
  return folderUrl(join(folder, 'store'));
}
