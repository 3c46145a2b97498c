import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { HandProvider } from '../../activities/hands/provider.ts';
import type { ProvisionInput, ReleaseResult } from '../../protocol/hand.ts';
import { folderUrl, openStore } from '../../store/open-store.ts';
import { type StoredSession, workspaceFolder } from '../../store/places.ts';
import { type Store, StoreError } from '../../store/store.ts';
import { openTestBucket, withS3 } from '../support/test-bucket.ts';
import {
  type ProvisionInputOptions,
  type TestHand,
  toProvisionInput,
  toTestHand,
  useClusterHands,
} from './cluster-hands.ts';
import { spawnWorker } from './spawn-worker.ts';
import { describeCluster, type TestCluster } from './test-cluster.ts';
import { TEMPORAL } from './test-temporal.ts';

describeCluster('a workspace is kept in a folder', (cluster) => {
  const folder = join(tmpdir(), `drover-kept-${crypto.randomUUID()}`);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  defineKept(cluster, () => openStore(folderUrl(folder)));
});

withS3('a workspace is kept in a bucket', () => {
  describeCluster('a workspace is kept in a bucket', (cluster) => {
    let close: () => Promise<void>;
    let url = '';
    beforeAll(async () => {
      const bucket = await openTestBucket();
      url = bucket.url;
      close = bucket.remove;
    });
    afterAll(async () => {
      await close();
      vi.unstubAllEnvs();
    });
    defineKept(cluster, () => openStore(url));
  });
});

function defineKept(cluster: () => TestCluster, open: () => Promise<Store>): void {
  const hands = useClusterHands(cluster);
  let store: Store;
  beforeAll(async () => {
    store = await open();
  });

  /** The hand of one generation. */
  async function provision(
    options: ProvisionInputOptions,
    through: Store = store,
  ): Promise<TestHand & { readonly input: ProvisionInput; readonly provider: HandProvider }> {
    const provider = await hands.worker({ store: through });
    const input = toProvisionInput(options);
    const { instance } = await provider.provision(input);
    const hand = { ...input.hand, provider: 'kubernetes', instance };
    hands.releaseLater(hand);
    return { ...toTestHand(provider, hand), input, provider };
  }

  async function release(
    hand: Awaited<ReturnType<typeof provision>>,
    through: Store = store,
  ): Promise<ReleaseResult | undefined> {
    const provider = await hands.worker({ store: through });
    const { snapshot } = hand.input.environment.definition.config ?? {};
    return provider.release({ hand: hand.instance, keep_workspace: true, snapshot });
  }

  function sessionOf({ instance }: TestHand): StoredSession {
    const { chain_id: chainId, session_id: sessionId } = instance;
    return { namespaceId: TEMPORAL.id, chainId, sessionId };
  }

  async function keptBlobs(hand: TestHand): Promise<string[]> {
    const blobs = await Array.fromAsync(store.list(workspaceFolder(sessionOf(hand), 'main')));
    return blobs.map(({ key }) => key.replace(/^.*\/(records|content)\/.*/, '$1')).sort();
  }

  const NEXT =
    /^\[this is a new sandbox: the one before it has ended; its files were restored from a snapshot of 20\S+Z.*, and its processes are gone\]\n/;

  test('released and made anew → files, modes, times and links are there, processes gone', async () => {
    const first = await provision({});
    const { session_id: session } = first.instance;
    await first.bash(
      'mkdir -p deep/er && echo content > deep/er/file && chmod 751 deep/er/file && ' +
        'touch -d 2001-02-03T04:05:06Z deep/er/file && ln -s deep/er/file link && ' +
        'ln -s /usr/bin/env absolute && echo output > /mnt/session/outputs/result.txt && ' +
        '(sleep 1000 & echo $! > background)',
    );
    const kept = await release(first);
    expect(kept).toMatchObject({ workspace: 'kept' });
    const second = await provision({ session, generation: 2 });
    const { text } = await second.bash(
      'stat -c "%a %Y %F" deep/er/file; cat link; readlink absolute; ' +
        'cat /mnt/session/outputs/result.txt; kill -0 $(cat background) 2>&1 | grep -c "No such"',
    );
    expect(text).toMatch(NEXT);
    expect(text.replace(NEXT, '').split('\n')).toEqual([
      '751 981173106 regular file',
      'content',
      '/usr/bin/env',
      'output',
      '1',
    ]);
    expect((await second.bash('echo again')).text).toBe('again');
    expect(await keptBlobs(second)).toEqual(['content', 'records']);
  });

  test('a call of an earlier sandbox answers from its record, and does not run anew', async () => {
    const first = await provision({});
    const { session_id: session } = first.instance;
    const command = 'echo run >> runs; echo said';
    await first.bash(command, { id: 'toolu_1' });
    await release(first);
    const second = await provision({ session, generation: 2 });
    expect((await second.bash(command, { id: 'toolu_1' })).text).toBe('said');
    expect((await second.bash('wc -l < runs')).text).toMatch(/\n1$/);
    await release(second);
    const third = await provision({ session, generation: 3 });
    expect((await third.bash(command, { id: 'toolu_1' })).text).toBe('said');
    expect((await third.bash('wc -l < runs')).text).toMatch(/\n1$/);
    expect(await keptBlobs(third)).toEqual(['content', 'records']);
  });

  test('over the cap → not kept, and both sides are told why', async () => {
    const environment = { config: { snapshot: { max_mib: 1 } } };
    const first = await provision({ environment });
    const { session_id: session } = first.instance;
    await first.bash('head -c 3000000 /dev/urandom > large');
    expect(await release(first)).toEqual({
      workspace: 'not_kept',
      because: expect.stringMatching(/over 1 MiB, compressed.*config\.snapshot\.max_mib/),
    });
    const second = await provision({ session, generation: 2, environment });
    expect((await second.bash('ls | wc -l')).text).toMatch(
      /^\[this is a new, empty sandbox: .* its workspace was not kept, because it has over 1 MiB.*\]\n0$/,
    );
    await second.bash('echo small > small');
    expect(await release(second)).toMatchObject({ workspace: 'kept' });
    expect(await keptBlobs(second)).toEqual(['content', 'records']);
    const third = await provision({ session, generation: 3, environment });
    await third.bash('head -c 3000000 /dev/urandom > large');
    await release(third);
    const fourth = await provision({ session, generation: 4, environment });
    const { text } = await fourth.bash('ls');
    expect(text).toMatch(
      /its files and processes are gone; its workspace was not kept, because it has over 1 MiB/,
    );
    expect(text).toMatch(
      /restored from an older snapshot, of 20\S+Z.*whatever was changed since then is lost\]\nsmall$/,
    );
  });

  test('what is excluded is not kept, and the next sandbox says so', async () => {
    const environment = { config: { snapshot: { excludes: ['node_modules', '*.tmp'] } } };
    const first = await provision({ environment });
    const { session_id: session } = first.instance;
    await first.bash('mkdir -p a/node_modules && touch a/node_modules/x a/b.tmp a/c');
    await release(first);
    const second = await provision({ session, generation: 2, environment });
    const { text } = await second.bash('find . -type f');
    expect(text).toMatch(/without what matches node_modules, \*\.tmp/);
    expect(text.split('\n').slice(1)).toEqual(['./a/c']);
  });

  test('lost while an older snapshot is there → that one, and it says so', async () => {
    const first = await provision({});
    const { session_id: session } = first.instance;
    await first.bash('echo one > file');
    await release(first);
    const second = await provision({ session, generation: 2 });
    await second.bash('echo two > file');
    const lost = await second.bash('kill -9 $(pgrep -f daemon.ts)');
    expect(lost).toMatchObject({ lost: true, is_error: true });
    const third = await provision({ session, generation: 3 });
    const { text } = await third.bash('cat file');
    expect(text).toMatch(/What is here was restored from an older snapshot, of 20\S+Z.*\]\none$/);
  });

  test('a large workspace → neither worker nor sandbox need memory for it', async () => {
    const config = { memory_mib: 256 };
    const releaseOf = async (mib: number): Promise<{ result: object; max_rss_kib: number }> => {
      const hand = await provision({ environment: { config } });
      await hand.bash(`head -c ${mib}M /dev/urandom > large; sha256sum large > sum`);
      const child = spawnWorker(cluster(), {
        store: store.url,
        release: { hand: hand.instance, keep_workspace: true },
      });
      const text = await child.said;
      if (text === '')
        expect.fail(`it ended without a word: ${child.exitCode} ${child.signalCode}`);
      const said = JSON.parse(text) as { result: object; max_rss_kib: number };
      if (mib > 1) {
        const { session_id: session } = hand.instance;
        const next = await provision({ session, generation: 2, environment: { config } });
        expect((await next.bash('sha256sum -c sum')).text).toMatch(/\nlarge: OK$/);
      }
      return said;
    };
    const small = await releaseOf(1);
    const large = await releaseOf(300);
    expect(large.result).toMatchObject({ workspace: 'kept' });
    // Less than the workspace: a bucket takes it in parts, of which some are on their way.
    expect(large.max_rss_kib - small.max_rss_kib).toBeLessThan(250 * 1024);
  });

  test('a session that ends → nothing is kept', async () => {
    const first = await provision({});
    await first.bash('echo one > file');
    await release(first);
    expect(await keptBlobs(first)).toEqual(['content', 'records']);
    const ended = { ...first.instance, generation: 2, instance: null };
    await first.provider.release({ hand: ended, keep_workspace: false });
    expect(await keptBlobs(first)).toEqual([]);
  });

  describe('the store is away', () => {
    const away = (): Store => ({
      ...bound(store),
      put: async (_key, content) => {
        content.destroy();
        throw new StoreError('unreachable', 'the store cannot be reached');
      },
      list: () => {
        throw new StoreError('unreachable', 'the store cannot be reached');
      },
    });

    test('at release → tried again, and nothing is lost', async () => {
      const first = await provision({});
      await first.bash('echo one > file; sleep 1000 &');
      const failing = release(first, away());
      await expect(failing).rejects.toMatchObject({
        type: 'Store.Unreachable',
        nonRetryable: false,
      });
      expect(await release(first)).toMatchObject({ workspace: 'kept' });
    });

    test('for longer than a release may take → the next sandbox sees to it', async () => {
      const first = await provision({});
      const { session_id: session } = first.instance;
      await first.bash('echo one > file');
      await expect(release(first, away())).rejects.toMatchObject({ type: 'Store.Unreachable' });
      const second = await provision({ session, generation: 2 });
      expect((await second.bash('cat file')).text).toMatch(/restored from a snapshot.*\]\none$/);
    });

    test('at restore → provisioning is tried again, and then it is restored', async () => {
      const first = await provision({});
      const { session_id: session } = first.instance;
      await first.bash('echo one > file');
      await release(first);
      await expect(provision({ session, generation: 2 }, away())).rejects.toMatchObject({
        type: 'Store.Unreachable',
        nonRetryable: false,
      });
      const second = await provision({ session, generation: 2 });
      expect((await second.bash('cat file')).text).toMatch(/\none$/);
    });

    test('in the middle of a restore → half of it is never taken for all', async () => {
      const first = await provision({});
      const { session_id: session } = first.instance;
      await first.bash('head -c 8000000 /dev/urandom > file; sha256sum file > sum; echo late > z');
      await release(first);
      const breaking: Store = {
        ...bound(store),
        get: async (key) => {
          const content = await store.get(key);
          if (content === undefined || key.includes('/records/')) return content;
          return Readable.from(
            (async function* () {
              let bytes = 0;
              for await (const chunk of content) {
                yield chunk as Buffer;
                bytes += (chunk as Buffer).length;
                if (bytes > 3_000_000) throw new Error('reset by peer');
              }
            })(),
          );
        },
      };
      await expect(provision({ session, generation: 2 }, breaking)).rejects.toMatchObject({
        type: 'Store.Unreachable',
        message: expect.stringMatching('reset by peer'),
      });
      const second = await provision({ session, generation: 2 });
      const { text } = await second.bash('sha256sum -c sum; cat z; ls');
      expect(text).toMatch(/\nfile: OK\nlate\nfile\nsum\nz$/);
    });
  });

  test('a snapshot that was damaged → an empty sandbox, and it says so', async () => {
    const first = await provision({});
    const { session_id: session } = first.instance;
    await first.bash('echo one > file');
    await release(first);
    for await (const { key, bytes } of store.list(workspaceFolder(sessionOf(first), 'main'))) {
      if (key.includes('/content/')) await store.put(key, Readable.from([Buffer.alloc(bytes)]));
    }
    await expect(provision({ session, generation: 2 })).rejects.toMatchObject({
      nonRetryable: false,
      message: expect.stringMatching('its snapshot is damaged'),
    });
    const second = await vi.waitFor(() => provision({ session, generation: 2 }), {
      timeout: 30_000,
      interval: 500,
    });
    expect((await second.bash('ls | wc -l')).text).toMatch(
      /^\[this is a new, empty sandbox: .*its snapshot of 20\S+Z is damaged.*\]\n0$/,
    );
  });
}

/** Methods that need not be called on their object. */
function bound(store: Store): Store {
  return {
    url: store.url,
    verify: () => store.verify(),
    put: (...args) => store.put(...args),
    putNew: (...args) => store.putNew(...args),
    get: (key) => store.get(key),
    head: (key) => store.head(key),
    list: (prefix) => store.list(prefix),
    delete: (key) => store.delete(key),
    deleteAll: (prefix) => store.deleteAll(prefix),
  };
}
