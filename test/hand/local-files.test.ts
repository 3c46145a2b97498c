import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findHandFolder } from '../../activities/hands/local/hand-folder.ts';
import type { LocalProvider } from '../../activities/hands/local/local-provider.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { SessionResourceInput } from '../../protocol/resource.ts';
import { folderUrl, openStore } from '../../store/open-store.ts';
import { fileKey, outputKey } from '../../store/places.ts';
import type { Store } from '../../store/store.ts';
import { processesNaming } from '../support/processes-naming.ts';
import { waitFor } from '../support/wait-for.ts';
import { IS_ISOLATED, NEEDS, type TestHand, useLocalHands } from './local-hands.ts';

// Files that a session is given, and gives, in hands of this machine.

const folder = mkdtempSync(join(tmpdir(), 'drover-local-files-'));
const NAMESPACE = 'namespace-id';
const SIGNAL = new AbortController().signal;
const FILE = { type: 'file', file_id: 'file_one' } as const;

const hands = useLocalHands();
let store: Store;

beforeAll(async () => {
  store = await openStore(folderUrl(folder));
  await store.put(fileKey('file_one'), Readable.from(['a,b\n1,2\n']));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function worker(isolation: 'required' | 'unconfined', used: Partial<Store> = store): LocalProvider {
  const files = { openStore: async () => used as Store, namespaceId: NAMESPACE };
  return hands().another({ isolation, files });
}

function packers(outputs: string): string[] {
  return processesNaming(outputs).filter((line) => line.includes('--serve'));
}

async function outputsOf({ instance }: TestHand, provider: LocalProvider) {
  const result = await provider.collect?.(instance, SIGNAL);
  const { session_id: sessionId, chain_id: chainId } = instance;
  const session = { namespaceId: NAMESPACE, chainId, sessionId };
  return { result, session };
}

async function listed(): Promise<string[]> {
  const lists: string[] = [];
  for await (const { key } of store.list('outputs/')) {
    if (!key.includes('/lists/')) continue;
    const content = await store.get(key);
    const { files } = JSON.parse(content === undefined ? '{}' : await text(content));
    lists.push(...files.map(({ path }: { path: string }) => path));
    await store.delete(key);
  }
  return lists.sort();
}

describe.runIf(IS_ISOLATED)(`${NEEDS}: a local hand`, () => {
  test('has what it is given where every kind of hand has it, and cannot write it', async () => {
    const provider = worker('required');
    const resources: SessionResourceInput[] = [
      FILE,
      { ...FILE, mount_path: '/mnt/session/in/x.csv' },
    ];
    const hand = await hands().provision({ provider, resources });
    const { text: said } = await hand.bash(
      'cat /mnt/session/uploads/file_one /mnt/session/in/x.csv; ' +
        'for at in uploads/file_one uploads/new in/x.csv ../new; do echo x 2>&1 > /mnt/session/$at; done; ls /mnt',
    );
    expect(said.match(/1,2/g)).toHaveLength(2);
    expect(said.match(/Read-only file system/g)).toHaveLength(4);
    expect(said).toMatch(/^session$/m);
    const read = await hand.run('read', { file_path: '/mnt/session/uploads/file_one' });
    expect(read.text).toContain('1,2');
    expect(said).not.toContain('In this sandbox');
  });

  test('gives what it writes there, also made anew and when it has ended', async () => {
    const provider = worker('required');
    const hand = await hands().provision({ provider });
    await hand.bash('mkdir /mnt/session/outputs/deep && echo one > /mnt/session/outputs/deep/one');
    await hand.run('write', { file_path: '/mnt/session/outputs/two', content: 'two' });
    const { result, session } = await outputsOf(hand, provider);
    expect(result).toMatchObject({ files: 2, bytes: 7, is_cut: false });
    expect(await listed()).toEqual(['deep/one', 'two']);
    const sha256 = createHash('sha256').update('two').digest('hex');
    const content = await store.get(outputKey(session, sha256));
    expect(content === undefined ? '' : await text(content)).toBe('two');
    await provider.release({ hand: hand.instance, keep_workspace: true });
    const next = await hands().provision({ provider, generation: 2 });
    expect((await next.bash('cat /mnt/session/outputs/two')).text).toBe('two');
    await provider.release({ hand: next.instance, keep_workspace: false }, SIGNAL);
    expect(await listed()).toEqual(['deep/one', 'two']);
    expect((await outputsOf(next, provider)).result).toBeNull();
  });

  test('gives it to a store that takes longer than the sandbox of the files lives', async () => {
    const provider = worker('required', {
      head: (key) => store.head(key),
      put: async (...stored: Parameters<Store['put']>) => {
        await waitFor('the end of the sandbox', () => packers(outputs).length === 0);
        return store.put(...stored);
      },
    });
    const hand = await hands().provision({ provider });
    const { outputs } = findHandFolder(hands().stateFolder, hand.instance);
    await hand.bash('echo one > /mnt/session/outputs/one; echo two > /mnt/session/outputs/two');
    expect((await outputsOf(hand, provider)).result).toMatchObject({ files: 2, is_cut: false });
    expect(await listed()).toEqual(['one', 'two']);
  });

  test('cannot give what is not its own, by links in the place of files or folders', async () => {
    const provider = worker('required');
    const hand = await hands().provision({ provider });
    const { outputs } = findHandFolder(hands().stateFolder, hand.instance);
    const { text: said } = await hand.bash(
      'cd /mnt/session/outputs; rmdir /mnt/session/outputs 2>&1; ' +
        // Where it is on the machine, too.
        'for at in ~/.. ~/../..; do rm -rf $at/outputs; ln -sT /etc $at/outputs; done 2>&1; ' +
        'ln -s /etc/passwd file; ln -s /etc folder; echo mine > mine',
    );
    expect(said).toMatch(/busy|Read-only/);
    symlinkSync('/etc/passwd', join(outputs, 'other'));
    const { result } = await outputsOf(hand, provider);
    expect(result).toMatchObject({ files: 1, bytes: 5 });
    expect(await listed()).toEqual(['mine']);
  });
});

describe('a local hand without isolation', () => {
  test('is told where it has what it is given, with the first result alone', async () => {
    const provider = worker('unconfined');
    const hand = await hands().provision({ provider, resources: [FILE] });
    const first = await hand.bash('true');
    const [, uploads, outputs] =
      /^\[In this sandbox \/mnt\/session\/uploads is (.+), and \/mnt\/session\/outputs is (.+)\]/.exec(
        first.text,
      ) ?? [];
    const second = await hand.bash(`cat ${uploads}/file_one; echo out > ${outputs}/out`);
    expect(second).toEqual({ text: 'a,b\n1,2', is_error: false });
    expect((await outputsOf(hand, provider)).result).toMatchObject({ files: 1, bytes: 4 });
    expect(await listed()).toEqual(['out']);
  });
});

describe('refused in words', () => {
  test.each<[string, SessionResourceInput[], string, RegExp]>([
    [
      'not in the store',
      [{ ...FILE, file_id: 'file_none' }],
      FAILURE.sandboxSetupFailed,
      /File file_none is not in the store file:.*put it there/,
    ],
    [
      'elsewhere',
      [{ ...FILE, mount_path: '/workspace/in.csv' }],
      FAILURE.sandboxUnsupportedConfig,
      /below \/mnt\/session only.*mount_path \/workspace\/in\.csv of file file_one/,
    ],
    [
      'among what it gives',
      [{ ...FILE, mount_path: '/mnt/session/outputs/in.csv' }],
      FAILURE.sandboxUnsupportedConfig,
      /not into \/mnt\/session\/outputs/,
    ],
    [
      'below another file',
      [FILE, { ...FILE, mount_path: '/mnt/session/uploads/file_one/x' }],
      FAILURE.sandboxSetupFailed,
      /cannot be put at \/mnt\/session\/uploads\/file_one\/x: another one is in its way/,
    ],
  ])('a file %s', async (_what, resources, type, message) => {
    const provider = worker('unconfined');
    await expect(hands().provision({ provider, resources })).rejects.toMatchObject({
      type,
      message: expect.stringMatching(message),
    });
  });
});
