import type { LogReader } from '../log/log-reader.ts';
import { MAIN_HAND } from '../protocol/hand.ts';
import { OutputFile } from '../protocol/output-list.ts';
import { bringOutputs } from './bring-outputs.ts';
import { InvalidInputError } from './errors/invalid-input-error.ts';
import { NotFoundError } from './errors/not-found-error.ts';
import { type FetchedFile, fetchFile } from './fetch-file.ts';
import { findStoredSession } from './find-stored-session.ts';
import type { OpenFileStore } from './open-file-store.ts';
import { readOutputList, type SessionFiles } from './read-output-list.ts';
import type { Requests } from './requests.ts';
import { type UploadedFile, uploadFile } from './upload-file.ts';

export interface FilesOptions {
  /** Name of the hand in the session. Default: `main`. */
  readonly hand?: string;
}

/**
 * Files that go into sessions and come out of them, by the store that the workers use. Their content
 * never goes through Temporal.
 */
export interface Files {
  /** Puts a file into the store. The same content gets the same id. */
  upload(path: string): Promise<UploadedFile>;
  /**
   * What a session gave: the files that its hand has under `/mnt/session/outputs`, or had when it was
   * last released. Also of a session that has ended.
   */
  list(sessionId: string, options?: FilesOptions): Promise<SessionFiles>;
  /** Writes one of them into a folder, under its own path. A file that is there is replaced. */
  get(
    sessionId: string,
    path: string,
    folder: string,
    options?: FilesOptions,
  ): Promise<FetchedFile>;
}

export function createFiles(
  requests: Requests,
  log: Pick<LogReader, 'session'>,
  openStore: OpenFileStore,
): Files {
  const bring = async (id: string, hand: string) => {
    const session = await requests.run({ type: 'session', id }, () => log.session(id));
    const stored = await findStoredSession(requests, id);
    await bringOutputs(requests, session, hand);
    const store = await openStore();
    return { store, stored, list: await readOutputList(store, stored, hand) };
  };
  return {
    upload: async (path) => uploadFile(await openStore(), path),
    async list(sessionId, { hand = MAIN_HAND } = {}) {
      return (await bring(sessionId, hand)).list;
    },
    async get(sessionId, path, folder, { hand = MAIN_HAND } = {}) {
      const wanted = OutputFile.shape.path.safeParse(path);
      if (!wanted.success) {
        throw new InvalidInputError(`file: "${path}" must be a path as files list prints it`);
      }
      const { store, stored, list } = await bring(sessionId, hand);
      const file = list.files.find((listed) => listed.path === wanted.data);
      if (file === undefined) throw new NotFoundError({ type: 'file', id: path });
      return fetchFile(store, stored, file, folder);
    },
  };
}
