import { readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';

/** What says that nobody listens; a listener that is busy says something else. */
const NOBODY = new Set<string | undefined>(['ECONNREFUSED', 'ENOENT']);

/** Removes the sockets of processes that were killed. */
export async function removeDeadSockets(folder: string, names: RegExp): Promise<void> {
  const all = await readdir(folder).catch(() => []);
  for (const name of all.filter((one) => names.test(one))) {
    const path = join(folder, name);
    if (!(await isServed(path))) await rm(path, { force: true });
  }
}

export function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(!NOBODY.has(code)));
  });
}
