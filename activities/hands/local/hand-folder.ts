import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** Where one hand of a session lives on disk. Its generations share it. */
export interface HandFolder {
  /** Records and log of its supervisors. Hidden from the sandbox. */
  readonly root: string;
  /** What the session is given, which the sandbox may read. */
  readonly session: string;
  /** What the session gives: the sandbox writes in it, and cannot put a link in its place. */
  readonly outputs: string;
  /** All else that the sandbox may write. */
  readonly sandbox: string;
  readonly workspace: string;
  readonly home: string;
  readonly temporary: string;
  readonly output: string;
  readonly journal: string;
  readonly log: string;
  /** Sockets of the hand; short, since a socket's path may have 107 bytes only. */
  readonly sockets: string;
}

/** Room for the longest name that is made in it (a proxy's, 40 bytes). */
const MAX_SOCKET_FOLDER_BYTES = 58;

/**
 * Folders of a hand, those that are its supervisor's alone made when they are missing. Names are
 * hashes: a session's id can be anything.
 *
 * @param stateFolder The state folder, by its real path.
 */
export function openHandFolder(stateFolder: string, hand: HandIdentity): HandFolder {
  const folder = findHandFolder(stateFolder, hand);
  for (const path of [folder.root, folder.session, folder.sockets]) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  }
  return folder;
}

/** A hand as its generations share it. */
export interface HandIdentity {
  readonly session_id: string;
  readonly chain_id: string;
  readonly name: string;
}

/** The same without making anything. */
export function findHandFolder(stateFolder: string, hand: HandIdentity): HandFolder {
  return handFolder(stateFolder, hash(JSON.stringify([hand.chain_id, hand.session_id, hand.name])));
}

/** Folder of every hand. */
export function handsFolder(stateFolder: string): string {
  return join(stateFolder, 'hands');
}

export function handFolder(stateFolder: string, name: string): HandFolder {
  const root = join(handsFolder(stateFolder), name);
  const sandbox = join(root, 'sandbox');
  return {
    root,
    session: join(root, 'session'),
    sandbox,
    outputs: join(root, 'outputs'),
    workspace: join(sandbox, 'workspace'),
    home: join(sandbox, 'home'),
    temporary: join(sandbox, 'tmp'),
    output: join(sandbox, 'output'),
    journal: join(sandbox, 'journal'),
    log: join(root, 'supervisor.log'),
    sockets: join(socketFolder(stateFolder), name),
  };
}

/** Makes the state folder, for its owner alone, and gives its real path. */
export function openStateFolder(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const folder = realpathSync(path);
  mkdirSync(handsFolder(folder), { recursive: true, mode: 0o700 });
  openSocketFolder(folder);
  return folder;
}

/** Makes the folder of sockets, which a sandbox reaches in no way, and gives its path. */
export function openSocketFolder(stateFolder: string): string {
  const path = socketFolder(stateFolder);
  checkOwn(path);
  return path;
}

function socketFolder(stateFolder: string): string {
  const within = join(stateFolder, 'run');
  if (Buffer.byteLength(within) <= MAX_SOCKET_FOLDER_BYTES - 17) return within;
  return join(tmpdir(), `drover-${userInfo().uid}-${hash(stateFolder).slice(0, 8)}`);
}

/** A folder in a shared place may have been made by someone else first. */
function checkOwn(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const { uid, mode } = lstatSync(path);
  const isOurs = lstatSync(path).isDirectory() && uid === userInfo().uid && (mode & 0o077) === 0;
  if (!isOurs) throw new Error(`${path} must be a folder of this user with mode 0700.`);
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
