import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import {
  chmod,
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  opendir,
  readdir,
  realpath,
  rename,
  rm,
  unlink,
} from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { makeFolder } from './make-folder.ts';
import { metered } from './metered.ts';
import {
  checkFolder,
  checkKey,
  checkPrefix,
  type PutOptions,
  type Store,
  type Stored,
  type StoredBlob,
  StoreError,
} from './store.ts';

/** No word of a key starts with a dot. */
const DRAFTS = '.drafts';
const STALE_DRAFT_MS = 24 * 3600_000;
const DRAFT_FLAGS =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * A folder of this machine, or one that its machines share: one file for each blob, for its owner
 * alone. A blob is written as a draft and renamed once it is on disk. Links are never followed.
 *
 * @param url As configured.
 * @param path Absolute. Made at the first use.
 */
export function createDirectoryStore(url: string, path: string): Store {
  return new DirectoryStore(url, path);
}

type Publish = (draft: string, path: string) => Promise<void>;

class DirectoryStore implements Store {
  readonly url: string;
  readonly #path: string;
  #opening: Promise<string> | undefined;

  constructor(url: string, path: string) {
    this.url = url;
    this.#path = path;
  }

  async verify(): Promise<void> {
    await this.#words(async () => {
      const draft = await this.#draft();
      await draft.file.close();
      await unlink(draft.path);
    });
  }

  put(key: string, content: Readable, options?: PutOptions): Promise<Stored> {
    return this.#write(key, content, { options, publish: rename });
  }

  putNew(key: string, content: Readable, options?: PutOptions): Promise<Stored> {
    return this.#write(key, content, { options, publish: publishNew });
  }

  get(key: string): Promise<Readable | undefined> {
    return this.#words(async () => {
      const file = await this.#openBlob(key);
      return file?.createReadStream();
    });
  }

  head(key: string): Promise<StoredBlob | undefined> {
    return this.#words(async () => {
      const file = await this.#openBlob(key);
      if (file === undefined) return undefined;
      await using _closing = file;
      const { size } = await file.stat();
      return { key, bytes: size };
    });
  }

  async *list(prefix: string): AsyncGenerator<StoredBlob> {
    const root = await this.#words(() => this.#root());
    const folder = join(root, dirname(`${checkPrefix(prefix)}x`));
    if (!(await this.#words(() => isOwnFolder(root, folder)))) return;
    for await (const path of filesIn(folder)) {
      const key = relative(root, path);
      const blob = key.startsWith(prefix) ? await this.head(key) : undefined;
      if (blob !== undefined) yield blob;
    }
  }

  delete(key: string): Promise<void> {
    return this.#words(async () => {
      const path = await this.#pathOf(key);
      if (path !== undefined) await unlink(path).catch(ignoreMissing);
    });
  }

  deleteAll(prefix: string): Promise<void> {
    return this.#words(async () => {
      const path = await this.#pathOf(checkFolder(prefix).slice(0, -1));
      if (path !== undefined) await rm(path, { recursive: true, force: true });
    });
  }

  /** Drafts are made first: while they are, no folder of the blob's can be missing. */
  async #write(
    key: string,
    content: Readable,
    { options, publish }: { options: PutOptions | undefined; publish: Publish },
  ): Promise<Stored> {
    const meter = metered(content, options);
    try {
      const path = join(await this.#words(() => this.#root()), checkKey(key));
      const draft = await this.#words(() => this.#draft());
      try {
        await pipeline(meter.content, draft.file.createWriteStream({ flush: true }));
        await this.#words(() => this.#publish(draft.path, path, publish));
      } finally {
        await rm(draft.path, { force: true });
      }
      return meter.stored();
    } catch (error) {
      const isOurs = isSystemError(error) && error !== content.errored;
      throw isOurs ? toStoreError(this.url, error) : error;
    } finally {
      content.destroy();
    }
  }

  async #publish(draft: string, path: string, publish: Publish): Promise<void> {
    const root = await this.#root();
    const folder = dirname(path);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if (!(await isOwnFolder(root, folder))) throw notOurs(folder);
    await publish(draft, path);
    await syncFolders(root, folder);
  }

  async #draft(): Promise<{ readonly path: string; readonly file: FileHandle }> {
    const path = join(await this.#root(), DRAFTS, randomUUID());
    return { path, file: await open(path, DRAFT_FLAGS, 0o600) };
  }

  async #openBlob(key: string): Promise<FileHandle | undefined> {
    const path = await this.#pathOf(key);
    if (path === undefined) return undefined;
    const file = await open(path, READ_FLAGS).catch(ignoreMissing);
    if (file === undefined || (await file.stat()).isFile()) return file;
    await file.close();
    return undefined;
  }

  /** Undefined when the blob's folder does not exist. */
  async #pathOf(key: string): Promise<string | undefined> {
    const root = await this.#root();
    const path = join(root, checkKey(key));
    return (await isOwnFolder(root, dirname(path))) ? path : undefined;
  }

  #root(): Promise<string> {
    this.#opening ??= openRoot(this.#path).catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #words<Result>(use: () => Promise<Result>): Promise<Result> {
    try {
      return await use();
    } catch (error) {
      throw isSystemError(error) ? toStoreError(this.url, error) : error;
    }
  }
}

async function openRoot(path: string): Promise<string> {
  await makeFolder(path, 0o700);
  const root = await realpath(path);
  const drafts = join(root, DRAFTS);
  await mkdir(drafts, { recursive: true, mode: 0o700 });
  await chmod(root, 0o700);
  for (const name of await readdir(drafts)) {
    const draft = join(drafts, name);
    // What a killed writer left. A living one writes on.
    const status = await lstat(draft).catch(ignoreMissing);
    const ageMs = status === undefined ? 0 : Date.now() - status.mtimeMs;
    if (ageMs > STALE_DRAFT_MS) await rm(draft, { force: true });
  }
  return root;
}

/** Whether every folder from the root down to this one exists. @throws when one is a link. */
async function isOwnFolder(root: string, folder: string): Promise<boolean> {
  let path = root;
  for (const word of relative(root, folder).split('/')) {
    if (word === '') continue;
    path = join(path, word);
    const status = await lstat(path).catch(ignoreMissing);
    if (status === undefined) return false;
    if (!status.isDirectory()) throw notOurs(path);
  }
  return true;
}

/** A file has one name at a time only when nobody else gave that name to another. */
async function publishNew(draft: string, path: string): Promise<void> {
  await link(draft, path);
}

/** A name is on disk once its folder is, and a new folder once its own is. */
async function syncFolders(root: string, folder: string): Promise<void> {
  for (let path = folder; ; path = dirname(path)) {
    await using handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    await handle.sync();
    if (path === root) return;
  }
}

async function* filesIn(folder: string): AsyncGenerator<string> {
  const entries = await opendir(folder).catch(ignoreMissing);
  if (entries === undefined) return;
  for await (const entry of entries) {
    if (entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesIn(path);
    else if (entry.isFile()) yield path;
  }
}

function ignoreMissing(error: unknown): undefined {
  if (isSystemError(error) && error.code === 'ENOENT') return undefined;
  throw error;
}

function notOurs(path: string): StoreError {
  return new StoreError('refused', `${path} is no folder of the store's own: remove it`);
}

type SystemError = NodeJS.ErrnoException & { readonly code: string; readonly syscall: string };

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

const PASSING = ['ENOSPC', 'EDQUOT', 'EIO', 'ESTALE', 'ETIMEDOUT', 'EMFILE', 'ENFILE'];

function toStoreError(url: string, error: SystemError): StoreError {
  if (error.code === 'EEXIST' && error.syscall === 'link') {
    return new StoreError('exists', `${url} has a blob of this key already`, { cause: error });
  }
  const problem = PASSING.includes(error.code) ? 'unreachable' : 'refused';
  return new StoreError(problem, `the store ${url} cannot be used: ${error.message}`, {
    cause: error,
  });
}
