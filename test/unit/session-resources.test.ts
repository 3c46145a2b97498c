import { expect, test } from 'vitest';
import { mountPathOf, type SessionResourceSpec } from '../../protocol/resource.ts';
import { SessionInput } from '../../protocol/session.ts';

const repository = (url: string) => ({ type: 'github_repository', url }) as const;

test.each<[string, SessionResourceSpec, string]>([
  ['an address', repository('https://github.com/o/repo'), '/workspace/repo'],
  ['one that ends in .git/', repository('https://github.com/o/repo.git/'), '/workspace/repo'],
  ['a short one', repository('git@host:repo.git'), '/workspace/repo'],
  ['a folder', repository('/srv/git/repo.git'), '/workspace/repo'],
  ['no name', repository('https://host/..'), '/workspace/repository'],
  ['a path', { ...repository('x'), mount_path: '/workspace/a' }, '/workspace/a'],
  ['a file', { type: 'file', file_id: 'file_1' }, '/mnt/session/uploads/file_1'],
])('where it is put: %s', (_name, resource, path) => {
  expect(mountPathOf(resource)).toBe(path);
});

test.each<[string, unknown, RegExp]>([
  ['an option', repository('--upload-pack=sh'), /resources\.0\.url|must not start with/],
  ['a password in it', repository('https://me:secret@host/repo'), /password/],
  ['a token', { ...repository('https://h/r'), authorization_token: 't' }, /stay in the history/],
  [
    'a branch that is an option',
    { ...repository('https://h/r'), checkout: { type: 'branch', name: '-x' } },
    /name of a branch/,
  ],
  [
    'a short commit',
    { ...repository('https://h/r'), checkout: { type: 'commit', sha: 'abc' } },
    /full commit SHA/,
  ],
  ['a way out', { type: 'file', file_id: 'f', mount_path: '/mnt/../etc/x' }, /must not hold/],
  ['a file id that is a path', { type: 'file', file_id: '../f' }, /id of a file/],
  ['a relative path', { type: 'file', file_id: 'f', mount_path: 'x' }, /absolute/],
])('refused: %s', (_name, resource, expected) => {
  const parsed = SessionInput.safeParse({ resources: [resource] });
  expect(JSON.stringify(parsed.error?.issues)).toMatch(expected);
  expect(JSON.stringify(parsed.error?.issues)).not.toContain('secret');
});

test('two at one path → refused, naming it', () => {
  const resources = [repository('https://a/repo'), repository('https://b/repo')];
  const parsed = SessionInput.safeParse({ resources });
  expect(parsed.error?.issues[0]).toMatchObject({
    path: ['resources', 1, 'mount_path'],
    message: expect.stringContaining('/workspace/repo'),
  });
});
