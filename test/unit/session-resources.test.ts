import { expect, test } from 'vitest';
import { mountPathOf, type SessionResourceSpec, withCredential } from '../../protocol/resource.ts';
import { SessionInput } from '../../protocol/session.ts';

const repository = (url: string) => ({ type: 'github_repository', url }) as const;

const CREDENTIAL = { vault_id: 'v', credential_id: 'c' };

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
  ['a push without a credential', { ...repository('https://h/r'), push: {} }, /needs a credential/],
  ...[
    'ssh://h/r',
    'git@h:r',
    'file:///r',
    '/r',
    'https://h',
    'https://u@h/r',
    'https://h/r?a=b',
  ].map((url): [string, unknown, RegExp] => [
    `a credential for ${url}`,
    { ...repository(url), credential: CREDENTIAL },
    /must be https:\/\/host\/path when/,
  ]),
  ...['refs/heads/main', '-x', 'a b', 'a~1', 'a:b', ''].map((branch): [string, unknown, RegExp] => [
    `a push to "${branch}"`,
    { ...repository('https://h/r'), credential: CREDENTIAL, push: { branches: [branch] } },
    /branches.*0/,
  ]),
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

test('with a credential → what it may push, nothing by default', () => {
  const resources = [
    { ...repository('https://a/one'), credential: CREDENTIAL },
    { ...repository('http://b/two'), credential: CREDENTIAL, push: { branches: ['drover/*'] } },
    repository('https://a/three'),
  ];
  const parsed = SessionInput.parse({ resources, vault_ids: ['v'] });
  expect(withCredential(parsed.resources)).toMatchObject([
    { url: 'https://a/one' },
    { push: { branches: ['drover/*'], tags: [], force: false, delete: false } },
  ]);
});

test('a vault that the session does not name → refused, naming it', () => {
  const resources = [{ ...repository('https://a/one'), credential: CREDENTIAL }];
  const parsed = SessionInput.safeParse({ resources, vault_ids: ['other'] });
  expect(parsed.error?.issues[0]).toMatchObject({
    path: ['resources', 0, 'credential', 'vault_id'],
    message: '"v" is not in vault_ids, which name what a session may use',
  });
});

test('more with a credential than a token can name → refused', () => {
  const resources = Array.from({ length: 21 }, (_, index) => ({
    ...repository(`https://a/${index}`),
    credential: CREDENTIAL,
  }));
  const parsed = SessionInput.safeParse({ resources });
  expect(parsed.error?.issues[0]?.message).toBe(
    'has 21 repositories with a credential; at most 20 are allowed',
  );
});
