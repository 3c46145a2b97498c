import { chmodSync, createWriteStream, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ApplicationFailure } from '@temporalio/common';
import { FAILURE, type FailureType } from '../../../protocol/failure.ts';
import type { ProvisionInput } from '../../../protocol/hand.ts';
import { mountPathOf } from '../../../protocol/resource.ts';
import { fileKey } from '../../../store/places.ts';
import type { Store } from '../../../store/store.ts';
import type { HandFolder } from './hand-folder.ts';
import { OUTPUTS, SESSION } from './session-paths.ts';

/**
 * Puts the files of a session where its sandbox reads them and cannot write: no link in there is its.
 *
 * @throws {ApplicationFailure} One is not in the store, or meant for another place.
 */
export async function placeFiles(
  { resources, hand }: ProvisionInput,
  { session }: HandFolder,
  openStore: (() => Promise<Store>) | undefined,
): Promise<void> {
  for (const resource of resources) {
    if (resource.type !== 'file') continue;
    const { file_id } = resource;
    const mount = mountPathOf(resource);
    if (!mount.startsWith(`${SESSION}/`) || `${mount}/`.startsWith(`${OUTPUTS}/`)) {
      const words =
        `Local hands put files below ${SESSION} only, and not into ${OUTPUTS}: mount_path ${mount} ` +
        `of file ${file_id} (hand ${hand.name}) is elsewhere. Change it or leave it out.`;
      throw failure(FAILURE.sandboxUnsupportedConfig, words);
    }
    const store = await openStore?.();
    const content = await store?.get(fileKey(file_id));
    if (content === undefined) {
      const where =
        store === undefined ? 'this hands worker has no store' : `the store ${store.url}`;
      const words = `File ${file_id} is not in ${where}: put it there, and start the session again.`;
      throw failure(FAILURE.sandboxSetupFailed, words);
    }
    await write(join(session, mount.slice(SESSION.length)), content, mount);
  }
}

/** Whole, or not at all; also over what an earlier attempt has written. */
async function write(path: string, content: NodeJS.ReadableStream, mount: string): Promise<void> {
  const draft = `${path}.draft`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    await pipeline(content, createWriteStream(draft, { mode: 0o600 }));
    chmodSync(draft, 0o444);
    renameSync(draft, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Of paths alone: what the store fails with may pass.
    if (!['EEXIST', 'ENOTDIR', 'EISDIR', 'ENOTEMPTY', 'ENAMETOOLONG'].includes(code ?? ''))
      throw error;
    const words = `A file cannot be put at ${mount}: another one is in its way (${code}).`;
    throw failure(FAILURE.sandboxSetupFailed, words);
  }
}

function failure(type: FailureType, message: string): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true });
}
