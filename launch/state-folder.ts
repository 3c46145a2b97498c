import { chmod } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { makeFolder } from '../store/make-folder.ts';

/** Everything that outlives a start, in one folder. */
export interface StateFolder {
  readonly path: string;
  readonly database: string;
  /** Where the server of this folder listens, and its process. */
  readonly serverRecord: string;
  readonly serverLog: string;
  readonly workerLog: string;
  /** Compiled code of the worker and its hands: a respawned worker polls half a second sooner. */
  readonly compiled: string;
  /** Held by the one launcher that runs server and worker. */
  readonly launcherSocket: string;
}

/** No system takes a socket path over 100 bytes, and the launcher's own lies in the folder. */
export const MAX_STATE_FOLDER_BYTES = 85;

/** @throws Error naming DROVER_STATE_FOLDER and the remedy */
export async function openStateFolder(configured: string | undefined): Promise<StateFolder> {
  const path =
    configured === undefined || configured === ''
      ? join(homedir(), '.local', 'state', 'drover')
      : resolve(configured);
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_STATE_FOLDER_BYTES) {
    throw new Error(
      `the state folder ${path} has a path of ${bytes} bytes, over ${MAX_STATE_FOLDER_BYTES}: the socket in it ` +
        'would have a path that the system refuses; set DROVER_STATE_FOLDER to a shorter one',
    );
  }
  try {
    await makeFolder(path);
    await chmod(path, 0o700);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `the state folder cannot be used (${reason}); set DROVER_STATE_FOLDER to a folder of yours`,
    );
  }
  return {
    path,
    database: join(path, 'temporal.db'),
    serverRecord: join(path, 'temporal.json'),
    serverLog: join(path, 'temporal.log'),
    workerLog: join(path, 'worker.log'),
    compiled: join(path, 'cache'),
    launcherSocket: join(path, 'launcher.sock'),
  };
}
