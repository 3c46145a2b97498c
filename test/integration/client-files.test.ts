import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { createHandActivities } from '../../activities/hands/activities.ts';
import { collectOutputs } from '../../activities/hands/kubernetes/collect-outputs.ts';
import { createLocalProvider } from '../../activities/hands/local/local-provider.ts';
import type { HandProvider } from '../../activities/hands/provider.ts';
import { runCommandLine } from '../../client/command-line/run-command-line.ts';
import { connectDrover, type Drover } from '../../client/index.ts';
import { calls, fromConversation, says } from '../../rehearsal/script.ts';
import { folderUrl, openStore } from '../../store/open-store.ts';
import { fileKey } from '../../store/places.ts';
import type { Store } from '../../store/store.ts';
import { IS_ISOLATED } from '../hand/local-hands.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { createTransferSandbox, type TransferSandbox } from '../support/transfer-sandbox.ts';

const folder = mkdtempSync(join(tmpdir(), 'drover-files-'));
const sandbox: TransferSandbox = createTransferSandbox();
let store: Store;
let harness: Harness;
let drover: Drover;
let isGone = false;

/** Hands that have the folders of one sandbox on this machine. */
function filesHand(): HandProvider {
  return {
    provision: async () => ({ instance: 'one' }),
    execute: async () => ({ content: [{ type: 'text', text: 'ok' }], is_error: false }),
    release: async () => undefined,
    async collect({ session_id: sessionId, chain_id: chainId, name }, signal) {
      if (isGone) return null;
      const session = { ...(await harnessNamespace()), chainId, sessionId };
      return sandbox.transfer((transfer) =>
        collectOutputs(transfer, store, { session, hand: name, signal }),
      );
    },
  };
}

beforeAll(async () => {
  mkdirSync(join(folder, 'store'));
  store = await openStore(folderUrl(join(folder, 'store')));
  const player = fromConversation(({ messages }) => {
    const [, command = 'true'] = /do: ([^"]+)"/.exec(JSON.stringify(messages[0])) ?? [];
    return messages.length === 1 ? says([calls('bash', { command })]) : says('Done.');
  });
  const stateFolder = join(folder, 'state');
  const local = createLocalProvider({ stateFolder, isolation: 'unconfined' });
  const { namespaceId } = await harnessNamespace();
  const files = { openStore: async () => store, namespaceId };
  const withFiles = createLocalProvider({ stateFolder, isolation: 'required', files });
  const providers = { fake: filesHand(), local, 'with-files': withFiles };
  harness = await startHarness({ player, hands: createHandActivities({ providers }) });
  const address = inject('temporalAddress');
  drover = await connectDrover({ address, taskQueue: harness.taskQueue, store: store.url });
});

afterAll(async () => {
  await drover.close();
  await harness.stop();
  sandbox.remove();
  rmSync(folder, { recursive: true, force: true });
});

async function harnessNamespace(): Promise<{ readonly namespaceId: string }> {
  const connection = await Connection.connect({ address: inject('temporalAddress') });
  const { namespaceInfo } = await connection.workflowService.describeNamespace({
    namespace: 'default',
  });
  await connection.close();
  return { namespaceId: namespaceInfo?.id ?? '' };
}

async function start(provider = 'fake'): Promise<string> {
  const environment = { provider, task_queue: harness.handsQueue };
  const handle = await harness.start({ initial_events: ['go'], environment });
  await harness.untilIdle(handle);
  return handle.workflowId;
}

function give(path: string, content: string): void {
  const { folder: outputs } = sandbox.places.outputs;
  mkdirSync(join(outputs, path, '..'), { recursive: true });
  writeFileSync(join(outputs, path), content);
}

function newFolder(): string {
  return mkdtempSync(join(folder, 'to-'));
}

describe('a file that goes in', () => {
  test('has an id of its content, and is in the store under it', async () => {
    const path = join(folder, 'data.csv');
    writeFileSync(path, 'a,b\n1,2\n');
    const file = await drover.files.upload(path);
    expect(file).toEqual({ id: expect.stringMatching(/^file_[0-9a-f]{64}$/), bytes: 8 });
    expect(await drover.files.upload(path)).toEqual(file);
    const content = await store.get(fileKey(file.id));
    expect(content === undefined ? undefined : await text(content)).toBe('a,b\n1,2\n');
  });

  test.each([
    ['a folder', () => folder],
    ['a file that is not there', () => join(folder, 'none')],
  ])('%s → refused, naming it', async (_what, path) => {
    await expect(drover.files.upload(path())).rejects.toMatchObject({
      code: 'invalid_input',
      message: expect.stringContaining(path()),
    });
  });
});

describe('files that a session gives', () => {
  test('are listed and fetched while its hand lives, and its history knows nothing of it', async () => {
    give('report.txt', 'first');
    give('deep/er/table.csv', '1,2');
    symlinkSync('/etc/passwd', join(sandbox.places.outputs.folder, 'link'));
    const id = await start();
    const before = await harness.client.workflow.getHandle(id).describe();
    const { files, is_cut } = await drover.files.list(id);
    expect(files.map(({ path, bytes }) => [path, bytes]).sort()).toEqual([
      ['deep/er/table.csv', 3],
      ['report.txt', 5],
    ]);
    expect(is_cut).toBe(false);
    give('report.txt', 'second');
    const to = newFolder();
    await drover.files.get(id, 'report.txt', to);
    expect(await drover.files.get(id, 'deep/er/table.csv', to)).toEqual({
      path: join(to, 'deep/er/table.csv'),
      bytes: 3,
    });
    expect(readFileSync(join(to, 'report.txt'), 'utf8')).toBe('second');
    expect(readFileSync(join(to, 'deep/er/table.csv'), 'utf8')).toBe('1,2');
    const after = await harness.client.workflow.getHandle(id).describe();
    expect(after.historyLength).toBe(before.historyLength);
  });

  test('are what they were when its hand has gone, and when it has ended', async () => {
    give('report.txt', 'kept');
    const id = await start();
    await drover.files.list(id);
    give('report.txt', 'never collected');
    isGone = true;
    const to = newFolder();
    await drover.files.get(id, 'report.txt', to);
    expect(readFileSync(join(to, 'report.txt'), 'utf8')).toBe('kept');
    isGone = false;
    await drover.sessions.archive(id);
    await harness.client.workflow
      .getHandle(id)
      .result()
      .catch(() => {});
    await drover.files.get(id, 'report.txt', to);
    expect(readFileSync(join(to, 'report.txt'), 'utf8')).toBe('kept');
  });

  test('one that another session gave under the same path → is not mixed up', async () => {
    give('report.txt', 'of one');
    const one = await start();
    await drover.files.list(one);
    give('report.txt', 'of the other');
    const other = await start();
    const to = newFolder();
    isGone = true;
    expect((await drover.files.list(other)).files).toEqual([]);
    await drover.files.get(one, 'report.txt', to);
    isGone = false;
    expect(readFileSync(join(to, 'report.txt'), 'utf8')).toBe('of one');
  });

  test('of a local hand whose worker has no store → refused, saying where they are', async () => {
    const id = await start('local');
    await expect(drover.files.list(id)).rejects.toMatchObject({
      code: 'files_unavailable',
      message: expect.stringMatching(
        /"local" give no files to a worker without a store.*: .*workspace$/,
      ),
    });
    await drover.sessions.archive(id);
  });

  test('nobody serves its hand → its task queue is named', async () => {
    const id = await start();
    const queue = `${harness.handsQueue}-gone`;
    const handle = await harness.client.workflow.start('outputs', {
      workflowId: `outputs-of-${id}`,
      taskQueue: harness.taskQueue,
      args: [{ hand: {}, task_queue: queue }],
    });
    await expect(handle.result()).rejects.toMatchObject({
      cause: { cause: { timeoutType: 'SCHEDULE_TO_START' } },
    });
  }, 60_000);
});

describe('a file that is fetched', () => {
  test.each(['../out', '/etc/passwd', 'a/../../out', '', 'a//b', '.'])(
    'as "%s" → refused',
    async (path) => {
      const id = await start();
      await expect(drover.files.get(id, path, newFolder())).rejects.toMatchObject({
        code: 'invalid_input',
      });
    },
  );

  test('that the session did not give → not found', async () => {
    const id = await start();
    await expect(drover.files.get(id, 'none', newFolder())).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('file "none"'),
    });
  });

  test('where a link stands in its way → refused, and nothing outside is written', async () => {
    give('deep/er/table.csv', '1,2');
    give('report.txt', 'mine');
    const id = await start();
    const outside = newFolder();
    const to = newFolder();
    symlinkSync(outside, join(to, 'deep'));
    writeFileSync(join(outside, 'theirs'), 'theirs');
    symlinkSync(join(outside, 'theirs'), join(to, 'report.txt'));
    for (const path of ['deep/er/table.csv', 'report.txt']) {
      await expect(drover.files.get(id, path, to)).rejects.toMatchObject({
        code: 'invalid_input',
        message: expect.stringMatching(/^to: .*is no f/),
      });
    }
    expect(readdirSync(outside)).toEqual(['theirs']);
    expect(readFileSync(join(outside, 'theirs'), 'utf8')).toBe('theirs');
  });

  test('whose content was changed in the store → refused, and nothing is written', async () => {
    give('report.txt', 'true content');
    const id = await start();
    const { files } = await drover.files.list(id);
    const { sha256 } = files.find(({ path }) => path === 'report.txt') ?? {};
    for await (const { key, bytes } of store.list('outputs/')) {
      if (key.endsWith(String(sha256))) await store.put(key, Readable.from(['x'.repeat(bytes)]));
    }
    const to = newFolder();
    await expect(drover.files.get(id, 'report.txt', to)).rejects.toMatchObject({
      code: 'store_failed',
    });
    expect(readdirSync(to)).toEqual([]);
    give('report.txt', 'other content');
  });
});

describe('the command line', () => {
  async function cli(...args: string[]): Promise<{ code: number; out: string; errors: string }> {
    let out = '';
    let errors = '';
    const typed = ['--address', inject('temporalAddress'), '--task-queue', harness.taskQueue];
    const code = await runCommandLine([...typed, ...args], 'drover', {
      stdin: Readable.from([]),
      stdout: { write: (words) => (out += words) },
      stderr: { write: (words) => (errors += words) },
      signal: new AbortController().signal,
    });
    return { code, out, errors };
  }

  test('upload, list and get, for a person and for a program', async () => {
    vi.stubEnv('DROVER_STORE', store.url);
    const path = join(folder, 'in.txt');
    writeFileSync(path, 'in');
    expect((await cli('files', 'upload', path)).out).toMatch(/^file_[0-9a-f]{64}\n$/);
    give('out.txt', 'out');
    const id = await start();
    expect((await cli('files', 'list', id)).out).toMatch(
      /^PATH +BYTES +MODIFIED\n[\s\S]*out\.txt +3 /,
    );
    const listed = await cli('files', 'list', id, '--output', 'json');
    expect(JSON.parse(listed.out)).toMatchObject({ hand: 'main', is_cut: false });
    const to = newFolder();
    const got = await cli('files', 'get', id, 'out.txt', '--to', to, '--output', 'json');
    expect(JSON.parse(got.out)).toEqual({ path: join(to, 'out.txt'), bytes: 3 });
    const hand = await cli('files', 'list', id, '--hand', 'gpu');
    expect(hand).toEqual({ code: 0, out: 'no files\n', errors: '' });
    vi.unstubAllEnvs();
  });

  test.runIf(IS_ISOLATED)('what a local hand is given, and gives', async () => {
    vi.stubEnv('DROVER_STORE', store.url);
    const path = join(folder, 'table.csv');
    writeFileSync(path, 'a,b,c');
    const file_id = (await cli('files', 'upload', path)).out.trim();
    const given = `/mnt/session/uploads/${file_id}`;
    const handle = await harness.start({
      initial_events: [`do: tr a-c A-C < ${given} > /mnt/session/outputs/upper.csv`],
      environment: { provider: 'with-files', task_queue: harness.handsQueue },
      resources: [{ type: 'file', file_id }],
    });
    await harness.untilIdle(handle);
    const { workflowId: id } = handle;
    expect((await cli('files', 'list', id)).out).toMatch(/upper\.csv +5 /);
    const to = newFolder();
    await cli('files', 'get', id, 'upper.csv', '--to', to);
    expect(readFileSync(join(to, 'upper.csv'), 'utf8')).toBe('A,B,C');
    // Its hand, and all of it, is gone then.
    await drover.sessions.archive(id);
    await handle.result().catch(() => {});
    const after = newFolder();
    await drover.files.get(id, 'upper.csv', after);
    expect(readFileSync(join(after, 'upper.csv'), 'utf8')).toBe('A,B,C');
    vi.unstubAllEnvs();
  });

  test.each([
    ['an unknown session', ['list', 'no-such-session'], 'not_found', undefined],
    ['a store that is not there', ['upload', '/etc/hostname'], 'no_store', '/no/such/store'],
    ['a store that is none', ['upload', '/etc/hostname'], 'store_failed', 'relative'],
  ])('%s → %s', async (_what, args, code, url) => {
    const given = url?.startsWith('/') ? folderUrl(url) : (url ?? store.url);
    vi.stubEnv('DROVER_STORE', given);
    const { errors, code: exit } = await cli('files', ...args, '--output', 'json');
    vi.unstubAllEnvs();
    expect(exit).toBe(1);
    expect((JSON.parse(errors) as { error: { code: string } }).error.code).toBe(code);
    expect(existsSync('/no/such/store')).toBe(false);
  });
});
