import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  keepWorkspace,
  restoreWorkspace,
  SnapshotDamagedError,
} from '../../activities/hands/kubernetes/keep-workspace.ts';
import {
  type KeptWorkspaces,
  keptWorkspaces,
  type WorkspaceRecord,
} from '../../activities/hands/kubernetes/kept-workspaces.ts';
import type { HandConfig } from '../../protocol/environment.ts';
import type { Store } from '../../store/store.ts';
import { createTransferSandbox, type TransferSandbox } from './transfer-sandbox.ts';

const { signal } = new AbortController();

/** What holds of kept workspaces, whatever store they are in. */
export function describeKept(
  name: string,
  open: () => Promise<{ readonly store: Store; close(): Promise<void> }>,
): void {
  describe(name, () => {
    let store: Store;
    let close: () => Promise<void>;
    let kept: KeptWorkspaces;
    let sandbox: TransferSandbox;
    let next: TransferSandbox;
    let sessions = 0;
    beforeAll(async () => {
      ({ store, close } = await open());
    });
    afterAll(() => close());
    beforeEach(() => {
      sessions += 1;
      const session = { namespaceId: 'n', chainId: 'c', sessionId: `session ${sessions}/ü` };
      kept = keptWorkspaces(store, session, 'main');
      sandbox = createTransferSandbox();
      next = createTransferSandbox();
    });
    afterEach(() => {
      sandbox.remove();
      next.remove();
    });

    const write = (content: string): void =>
      writeFileSync(join(sandbox.places.workspace.folder, 'file'), content);
    const keep = (
      instance: string,
      generation = 1,
      rules?: HandConfig['snapshot'],
    ): Promise<WorkspaceRecord> =>
      sandbox.transfer((transfer) =>
        keepWorkspace(transfer, kept, { instance, generation, rules, signal }),
      );
    const restore = async (): Promise<string> => {
      const { snapshot } = await kept.find();
      if (snapshot === undefined) throw new Error('there is no snapshot');
      await next.transfer((transfer) => restoreWorkspace(transfer, kept, snapshot));
      return readFileSync(join(next.places.workspace.folder, 'file'), 'utf8');
    };
    const blobs = async (): Promise<string[]> => {
      const all = await Array.fromAsync(store.list('workspaces/'));
      return all.map(({ key }) => key.replace(/^.*\/(records|content)\/.*/, '$1')).sort();
    };

    test('kept → restored; forgotten → nothing is left', async () => {
      write('one');
      expect(await keep('a')).toMatchObject({ type: 'snapshot', files: 1 });
      expect(await restore()).toBe('one');
      await kept.forget();
      expect(await kept.find()).toEqual({ snapshot: undefined, missed: undefined, keys: [] });
      expect(await blobs()).toEqual([]);
    });

    test('by two attempts at once → one snapshot, whole', async () => {
      write('one');
      await Promise.all([keep('a'), keep('a'), keep('a')]);
      expect(await blobs()).toEqual(['content', 'records']);
      expect(await restore()).toBe('one');
      await kept.forget();
    });

    test('by a late attempt, after the next sandbox was kept → the newer one stays', async () => {
      write('one');
      await keep('a');
      write('two');
      await keep('b', 2);
      write('late');
      await keep('b', 2);
      expect(await restore()).toBe('two');
      expect(await blobs()).toEqual(['content', 'records']);
      await kept.forget();
    });

    test('over the cap → said, and the older snapshot stays', async () => {
      write('one');
      await keep('a');
      mkdirSync(join(sandbox.places.workspace.folder, 'large'));
      for (let index = 0; index < 40; index += 1) {
        const random = Buffer.from(crypto.getRandomValues(new Uint8Array(65_536)));
        writeFileSync(join(sandbox.places.workspace.folder, `large/${index}`), random);
      }
      const record = await keep('b', 2, { max_mib: 1, excludes: [] });
      expect(record).toMatchObject({ type: 'missed', because: expect.stringMatching('1 MiB') });
      const found = await kept.find();
      expect(found.missed).toEqual(record);
      expect(found.snapshot?.generation).toBe(1);
      expect(await restore()).toBe('one');
      expect(await kept.recordOf('b')).toEqual(record);
      await kept.forget();
    });

    test('a sandbox that breaks off → nothing is kept', async () => {
      write('one');
      const breaking = sandbox.transfer(async (transfer) =>
        keepWorkspace(
          {
            ...transfer,
            async *content() {
              yield Buffer.from('some');
              throw new Error('broke off');
            },
          },
          kept,
          { instance: 'a', generation: 1, rules: undefined, signal },
        ),
      );
      await expect(breaking).rejects.toThrow('broke off');
      expect(await blobs()).toEqual([]);
      expect(await kept.recordOf('a')).toBeUndefined();
    });

    test.each([
      ['other bytes', (bytes: number) => Readable.from([Buffer.alloc(bytes)])],
      ['fewer bytes', () => Readable.from(['few'])],
    ])('%s in its place → damaged; discarded → it says so', async (_what, content) => {
      write('one');
      await keep('a');
      const { snapshot } = await kept.find();
      if (snapshot === undefined) throw new Error('there is no snapshot');
      await store.put(snapshot.content, content(snapshot.bytes));
      await expect(restore()).rejects.toThrow(SnapshotDamagedError);
      await kept.discard(snapshot, 'it is damaged');
      expect(await kept.find()).toMatchObject({
        snapshot: undefined,
        missed: { because: 'it is damaged', generation: 1 },
      });
      expect(await blobs()).toEqual(['records']);
      await kept.forget();
    });
  });
}
