import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { duplexPair } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { zstdCompressSync } from 'node:zlib';
import { Header } from 'tar';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { transferBy } from '../../activities/hands/kubernetes/transfer-stream.ts';
import { createTransferSandbox, type TransferSandbox } from '../support/transfer-sandbox.ts';

let one: TransferSandbox;
let other: TransferSandbox;
beforeEach(() => {
  one = createTransferSandbox();
  other = createTransferSandbox();
});
afterEach(() => {
  one.remove();
  other.remove();
});

function pack(from: TransferSandbox, excludes: readonly string[] = []): Promise<Buffer> {
  return from.transfer(async (transfer) => {
    await transfer.order({ type: 'pack', excludes });
    return buffer(transfer.content());
  });
}

/** Answers what the sandbox said of it. */
function unpack(to: TransferSandbox, archive: Buffer, snapshot = 'one'): Promise<string> {
  return to.transfer(async (transfer) => {
    await transfer.order({ type: 'unpack', snapshot });
    const first = await transfer.expect('send', 'restored');
    if (first.type === 'restored') return 'restored before';
    await transfer.sendContent(
      (async function* () {
        yield archive;
      })(),
    );
    const { type, message } = await transfer.expect('restored', 'damaged');
    return type === 'damaged' ? `damaged: ${String(message)}` : type;
  });
}

const at = (sandbox: TransferSandbox, path: string): string => join(sandbox.root, path);

function put(path: string, content = path): void {
  mkdirSync(dirname(at(one, path)), { recursive: true });
  writeFileSync(at(one, path), content);
}

function tree(sandbox: TransferSandbox, folder: string): string[] {
  return readdirSync(at(sandbox, folder), { recursive: true }).map(String).sort();
}

describe('a workspace that is packed and unpacked', () => {
  test('is the same: content, modes, times, links of both kinds, names of all kinds', async () => {
    const long = `deep/${'long-'.repeat(40)}/${'name-'.repeat(40)}`;
    const odd = [
      'with space',
      'ünïcødé',
      'new\nline',
      '-dash',
      'back\\slash',
      '.hidden/file',
      long,
    ];
    for (const name of odd) put(`workspace/${name}`, `content of ${name}`);
    put('workspace/empty', '');
    put('workspace/bin/run', '#!/bin/sh');
    put('outputs/report.txt', 'result');
    mkdirSync(at(one, 'workspace/empty-folder'));
    chmodSync(at(one, 'workspace/bin/run'), 0o751);
    chmodSync(at(one, 'workspace/empty-folder'), 0o500);
    linkSync(at(one, 'workspace/bin/run'), at(one, 'workspace/hard'));
    symlinkSync('bin/run', at(one, 'workspace/soft'));
    symlinkSync('/usr/bin/python3', at(one, 'workspace/absolute'));
    symlinkSync('nowhere', at(one, 'workspace/dangling'));
    utimesSync(at(one, 'workspace/bin/run'), 1_000_000_000, 1_000_000_001.5);
    utimesSync(at(one, 'workspace/bin'), 1_000_000_000, 1_000_000_002);
    lutimesSync(at(one, 'workspace/soft'), 1_000_000_000, 1_000_000_003);

    expect(await unpack(other, await pack(one))).toBe('restored');
    expect(tree(other, 'workspace')).toEqual(tree(one, 'workspace'));
    for (const name of odd) {
      expect(readFileSync(at(other, `workspace/${name}`), 'utf8')).toBe(`content of ${name}`);
    }
    expect(readFileSync(at(other, 'outputs/report.txt'), 'utf8')).toBe('result');
    expect(statSync(at(other, 'workspace/empty')).size).toBe(0);
    const modeOf = (path: string): number => statSync(at(other, path)).mode & 0o7777;
    expect(modeOf('workspace/bin/run')).toBe(0o751);
    expect(modeOf('workspace/empty-folder')).toBe(0o500);
    expect(statSync(at(other, 'workspace/hard')).ino).toBe(
      statSync(at(other, 'workspace/bin/run')).ino,
    );
    const linkOf = (name: string): string => readlinkSync(at(other, `workspace/${name}`));
    expect(['soft', 'absolute', 'dangling'].map(linkOf)).toEqual([
      'bin/run',
      '/usr/bin/python3',
      'nowhere',
    ]);
    const timeOf = (path: string): number => lstatSync(at(other, path)).mtimeMs;
    expect(Math.floor(timeOf('workspace/bin/run') / 1000)).toBe(1_000_000_001);
    expect(timeOf('workspace/bin')).toBe(1_000_000_002_000);
    expect(timeOf('workspace/soft')).toBe(1_000_000_003_000);
  });

  test('a file larger than any buffer', async () => {
    const path = at(one, 'workspace/large');
    execFileSync('sh', ['-c', `head -c 50000000 /dev/urandom > ${path}`]);
    await unpack(other, await pack(one));
    expect(readFileSync(at(other, 'workspace/large')).equals(readFileSync(path))).toBe(true);
  });

  test('sockets, pipes and devices are left out, and counted', async () => {
    put('workspace/file');
    execFileSync('mkfifo', [at(one, 'workspace/pipe')]);
    const said = await one.transfer(async (transfer) => {
      await transfer.order({ type: 'pack', excludes: [] });
      let end: unknown;
      const onEnd = (message: unknown): void => {
        end = message;
      };
      await buffer(transfer.content(onEnd));
      return end;
    });
    expect(said).toMatchObject({
      skipped: 1,
      files: 1 + 0,
      unpacked_bytes: 'workspace/file'.length,
    });
  });

  test.each([
    ['node_modules', ['src/a.js', 'src/node_modules-not/b']],
    [
      '*.log',
      ['node_modules/x/y', 'src/a.js', 'src/node_modules-not/b', 'src/node_modules/.bin/z'],
    ],
    ['/src', ['.cache/node_modules/q', 'a.log', 'node_modules/x/y']],
    ['src/', ['.cache/node_modules/q', 'a.log', 'node_modules/x/y']],
    ['src/**/*.js', ['a.log', 'node_modules/x/y', 'src/node_modules/.bin/z']],
    ['./node_modules', ['a.log', 'src/node_modules/.bin/z']],
  ])('what matches "%s" is left out', async (exclude, some) => {
    for (const name of [
      'node_modules/x/y',
      'src/node_modules/.bin/z',
      '.cache/node_modules/q',
      'src/node_modules-not/b',
      'src/a.js',
      'a.log',
      'src/.b.log',
    ]) {
      put(`workspace/${name}`);
    }
    await unpack(other, await pack(one, [exclude]));
    const kept = tree(other, 'workspace');
    expect(kept).toEqual(expect.arrayContaining(some));
    const gone: Record<string, string[]> = {
      node_modules: ['node_modules', 'src/node_modules', '.cache/node_modules'],
      '*.log': ['a.log', 'src/.b.log'],
      '/src': ['src', 'src/a.js'],
      'src/': ['src', 'src/a.js'],
      'src/**/*.js': ['src/a.js'],
      './node_modules': ['node_modules'],
    };
    for (const path of gone[exclude] ?? []) expect(kept).not.toContain(path);
  });

  test('journals come along as one, oldest first', async () => {
    writeFileSync(at(one, 'past/calls.jsonl'), '{"past":1}\n{"torn":');
    writeFileSync(at(one, 'journal/calls.jsonl'), '{"own":1}\n');
    await unpack(other, await pack(one));
    expect(readFileSync(at(other, 'past/calls.jsonl'), 'utf8').split('\n')).toEqual([
      '{"past":1}',
      '{"torn":',
      '{"own":1}',
      '',
      '',
    ]);
    expect(readdirSync(at(other, 'journal'))).toEqual([]);
  });
});

describe('a workspace that is unpacked', () => {
  test('replaces what a half-way attempt left', async () => {
    put('workspace/file', 'right');
    const archive = await pack(one);
    mkdirSync(at(other, 'workspace/file/in/the/way'), { recursive: true });
    writeFileSync(at(other, 'workspace/left'), 'x');
    expect(await unpack(other, archive)).toBe('restored');
    expect(tree(other, 'workspace')).toEqual(['file']);
  });

  test('once: what the session has written since stays', async () => {
    put('workspace/file', 'old');
    const archive = await pack(one);
    await unpack(other, archive);
    writeFileSync(at(other, 'workspace/file'), 'new');
    expect(await unpack(other, archive)).toBe('restored before');
    expect(readFileSync(at(other, 'workspace/file'), 'utf8')).toBe('new');
  });

  test('broken off at any of its frames → never takes itself for restored', async () => {
    put('workspace/a', 'a'.repeat(300_000));
    const archive = await pack(one);
    for (const bytes of [0, 10, archive.length - 1, archive.length]) {
      await other.transfer(async (transfer) => {
        await transfer.order({ type: 'unpack', snapshot: 'one' });
        await transfer.expect('send');
        const broken = async function* (): AsyncGenerator<Buffer> {
          yield archive.subarray(0, bytes);
          throw new Error('broke off');
        };
        await expect(transfer.sendContent(broken())).rejects.toThrow('broke off');
      });
      expect(existsSync(at(other, 'state/restored.json'))).toBe(false);
    }
    expect(await unpack(other, archive)).toBe('restored');
  });

  test.each([
    ['cut short', (archive: Buffer) => archive.subarray(0, archive.length / 2)],
    [
      'with a byte changed',
      (archive: Buffer) => {
        const changed = Buffer.from(archive);
        changed.writeUInt8(changed.readUInt8(archive.length - 20) ^ 255, archive.length - 20);
        return changed;
      },
    ],
    ['no archive at all', () => Buffer.from('no archive')],
    ['of nothing', () => zstdCompressSync(Buffer.alloc(0))],
  ])('%s → damaged, in words', async (_what, change) => {
    put('workspace/a', execFileSync('head', ['-c', '100000', '/dev/urandom']).toString('base64'));
    expect(await unpack(other, change(await pack(one)))).toMatch(/^damaged: it is damaged/);
    expect(existsSync(at(other, 'state/restored.json'))).toBe(false);
  });
});

describe('a hostile archive', () => {
  interface Entry {
    readonly path: string;
    readonly type?: 'File' | 'SymbolicLink' | 'Link' | 'Directory' | 'CharacterDevice';
    readonly linkpath?: string;
    readonly content?: string;
  }

  function archiveOf(entries: readonly Entry[]): Buffer {
    const blocks = entries.map(({ path, type = 'File', linkpath, content = '' }) => {
      const header = new Header({
        path,
        type,
        mode: 0o644,
        size: content.length,
        mtime: new Date(),
        ...(linkpath === undefined ? {} : { linkpath }),
      });
      const head = Buffer.alloc(512);
      header.encode(head);
      const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
      body.write(content);
      return Buffer.concat([head, body]);
    });
    return zstdCompressSync(Buffer.concat([...blocks, Buffer.alloc(1024)]));
  }

  test.each<[string, (outside: string) => readonly Entry[]]>([
    ['a name with ..', () => [{ path: 'workspace/../outside/new', content: 'x' }]],
    ['a name that is ..', () => [{ path: '..', type: 'Directory' }]],
    ['an absolute name', (outside) => [{ path: `${outside}/new`, content: 'x' }]],
    ['a place of none of ours', () => [{ path: 'journal/calls.jsonl', content: 'x' }]],
    [
      'a link, and a file through it',
      (outside) => [
        { path: 'workspace/way', type: 'SymbolicLink', linkpath: outside },
        { path: 'workspace/way/new', content: 'x' },
      ],
    ],
    [
      'a file, and a link in its place',
      (outside) => [
        { path: 'workspace/way', content: 'x' },
        { path: 'workspace/way', type: 'SymbolicLink', linkpath: outside },
      ],
    ],
    [
      'a link in the place of all',
      (outside) => [
        { path: 'workspace', type: 'SymbolicLink', linkpath: outside },
        { path: 'workspace/new', content: 'x' },
      ],
    ],
    [
      'a hard link to a file elsewhere',
      (outside) => [{ path: 'workspace/theirs', type: 'Link', linkpath: `${outside}/file` }],
    ],
    [
      'a hard link with ..',
      () => [{ path: 'workspace/theirs', type: 'Link', linkpath: 'workspace/../outside/file' }],
    ],
    [
      'a hard link through a link',
      (outside) => [
        { path: 'workspace/way', type: 'SymbolicLink', linkpath: outside },
        { path: 'workspace/theirs', type: 'Link', linkpath: 'workspace/way/file' },
      ],
    ],
    ['a device', () => [{ path: 'workspace/null', type: 'CharacterDevice' }]],
  ])('%s → refused, and nothing outside is touched', async (_what, entries) => {
    const outside = at(other, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'file'), 'theirs');
    expect(await unpack(other, archiveOf(entries(outside)))).toMatch(/^damaged: /);
    expect(readdirSync(outside)).toEqual(['file']);
    expect(statSync(join(outside, 'file')).nlink).toBe(1);
    expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('theirs');
    expect(existsSync(at(other, 'journal/calls.jsonl'))).toBe(false);
    expect(existsSync(at(other, 'state/restored.json'))).toBe(false);
  });
});

describe('the stream of a transfer', () => {
  /** Packs over a stream that ends, as if all had come, after so many bytes. */
  function packCut(bytes: number): Promise<Buffer> {
    const stream = one.open();
    let left = bytes;
    const push = stream.push.bind(stream);
    stream.push = (chunk: Buffer | null) => {
      if (chunk === null) return push(null);
      push(chunk.subarray(0, Math.max(0, left)));
      left -= chunk.length;
      return left > 0 || push(null);
    };
    return transferBy(stream, new AbortController().signal, async (transfer) => {
      await transfer.order({ type: 'pack', excludes: [] });
      return buffer(transfer.content());
    });
  }

  test('cut after each of its bytes → never content', async () => {
    put('workspace/a', 'x');
    const end = JSON.stringify({ type: 'end', sha256: '0'.repeat(64), bytes: 100 });
    for (let cut = 1; ; cut += 3) {
      const content = await packCut(cut).catch((error: Error) => error);
      if (content instanceof Error) expect(content.message).toContain('broke off');
      else {
        expect(cut).toBeGreaterThan(content.length + end.length);
        return;
      }
    }
  });

  test('with a byte changed on the way → never content', async () => {
    put('workspace/a', 'a'.repeat(1_000));
    const stream = one.open();
    const push = stream.push.bind(stream);
    let passed = 0;
    stream.push = (chunk: Buffer | null) => {
      if (chunk === null) return push(null);
      const isContent = passed < 60 && passed + chunk.length > 60;
      const changed = Buffer.from(chunk);
      if (isContent) changed.writeUInt8(changed.readUInt8(60 - passed) ^ 1, 60 - passed);
      passed += chunk.length;
      return push(changed);
    };
    const taking = transferBy(stream, new AbortController().signal, async (transfer) => {
      await transfer.order({ type: 'pack', excludes: [] });
      return buffer(transfer.content());
    });
    await expect(taking).rejects.toThrow('what came is not what was sent');
  });

  test('given up while the other side is silent → at once', async () => {
    const [near] = duplexPair();
    const abort = new AbortController();
    const taking = transferBy(near, abort.signal, (transfer) => transfer.expect('listing'));
    abort.abort();
    await expect(taking).rejects.toThrow('it was given up');
    expect(near.destroyed).toBe(true);
  });
});
