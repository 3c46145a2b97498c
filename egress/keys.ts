import { readFileSync, statSync } from 'node:fs';

/** Keys that tokens are signed with. Their file is read anew for each use, so it may change. */
export interface EgressKeys {
  /** The first of the file: signs. */
  readonly signing: EgressKey;
  /** All of the file: each is good for tokens that it signed. */
  readonly byId: ReadonlyMap<string, EgressKey>;
}

export interface EgressKey {
  readonly id: string;
  readonly secret: Buffer;
}

/** The file says something else than keys, or others may read it. */
export class EgressKeysError extends Error {
  override readonly name = 'EgressKeysError';
}

const MIN_BYTES = 32;
/** Group read: that is how a Secret is mounted for a user who is not root. */
const FORBIDDEN_MODE = 0o027;
const LINE = /^([a-zA-Z0-9_-]{1,32}) +([A-Za-z0-9+/]+={0,2})$/;

/**
 * One line for each key, `<id> <base64>`; lines that are empty or start with # are left out.
 *
 * @throws {EgressKeysError} It never holds what is in the file.
 */
export function readKeys(path: string): EgressKeys {
  const keys = readLines(path).map(({ line, number }) => readKey(path, line, number));
  const [signing] = keys;
  if (signing === undefined) throw new EgressKeysError(`${path} has no key in it.`);
  const byId = new Map(keys.map((key) => [key.id, key]));
  if (byId.size < keys.length) throw new EgressKeysError(`${path} has two keys of one id.`);
  return { signing, byId };
}

function readLines(path: string): readonly { line: string; number: number }[] {
  try {
    checkMode(path);
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line, index) => ({ line: line.trim(), number: index + 1 }))
      .filter(({ line }) => line !== '' && !line.startsWith('#'));
  } catch (error) {
    if (error instanceof EgressKeysError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new EgressKeysError(`${path} cannot be read (${code}).`);
  }
}

/** @throws {EgressKeysError} Others may read the file. */
export function checkMode(path: string): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new EgressKeysError(`${path} cannot be read (ENOENT).`);
  const mode = stat.mode & 0o777;
  if ((mode & FORBIDDEN_MODE) === 0) return;
  throw new EgressKeysError(
    `${path} has mode ${mode.toString(8)}: its owner alone may write it and others not read it. ` +
      'Set 600, or 440 for a Secret.',
  );
}

function readKey(path: string, line: string, number: number): EgressKey {
  const [, id, text] = LINE.exec(line) ?? [];
  if (id === undefined || text === undefined) {
    throw new EgressKeysError(`${path}, line ${number}: a key is written as <id> <base64>.`);
  }
  const secret = Buffer.from(text, 'base64');
  if (secret.length < MIN_BYTES) {
    throw new EgressKeysError(
      `${path}, line ${number}: key ${id} has ${secret.length} bytes and needs ${MIN_BYTES}. ` +
        'Make one: openssl rand -base64 32',
    );
  }
  return { id, secret };
}
