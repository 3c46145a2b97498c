import { expect, test } from 'vitest';
import { cloneCall } from '../../activities/hands/clone-call.ts';
import { gatewayRepositories } from '../../activities/hands/gateway-repositories.ts';
import {
  gatewayToken,
  gatewayVariables,
  usesCredentials,
} from '../../activities/hands/gateway-token.ts';
import { readToken } from '../../egress/hand-token.ts';
import { EnvironmentDefinition } from '../../protocol/environment.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { ProvisionInput } from '../../protocol/hand.ts';
import { type RepositorySpec, SessionResourceSpecs } from '../../protocol/resource.ts';

const KEY = { id: 'k1', secret: Buffer.alloc(32, 'k') };
const KEYS = { signing: KEY, byId: new Map([[KEY.id, KEY]]) };
const credential = { vault_id: 'v', credential_id: 'c' };
const NOTHING = { branches: [], tags: [], force: false, delete: false };

const RESOURCES = SessionResourceSpecs.parse([
  { type: 'github_repository', url: 'https://a/own/repo.git', mount_path: '/workspace/zero' },
  { type: 'github_repository', url: 'https://a/x/repo.git', credential },
  {
    type: 'github_repository',
    url: 'https://a/y/repo',
    credential,
    push: { branches: ['b*'], force: true },
    mount_path: '/workspace/two',
  },
  { type: 'file', file_id: 'f' },
]);

function inputOf(resources: ProvisionInput['resources']): ProvisionInput {
  return {
    hand: { session_id: 's', chain_id: 'chain', name: 'main', generation: 1 },
    environment: { id: null, version: null, definition: EnvironmentDefinition.parse({}) },
    resources,
  };
}

test('those with a credential, each under a name of its own, and what may be pushed to them', () => {
  expect(gatewayRepositories(RESOURCES)).toEqual([
    { name: 'repo', url: 'https://a/x/repo.git', ...credential, push: NOTHING },
    {
      name: 'repo-1-again',
      url: 'https://a/y/repo',
      ...credential,
      push: { branches: ['b*'], tags: [], force: true, delete: false },
    },
  ]);
});

test('cloned from the gateway under that name, the others from where they are', () => {
  const calls = RESOURCES.filter(({ type }) => type === 'github_repository').map((resource) =>
    cloneCall(resource as RepositorySpec, { resources: RESOURCES }),
  );
  expect(calls.map(({ input }) => [input['url'], input['known_as'], input['path']])).toEqual([
    ['https://a/own/repo.git', undefined, '/workspace/zero'],
    ['http://gateway.invalid/git/repo.git', 'https://a/x/repo.git', '/workspace/repo'],
    ['http://gateway.invalid/git/repo-1-again.git', 'https://a/y/repo', '/workspace/two'],
  ]);
});

test('a hand without a network has a way to them, and to nothing else', () => {
  const input = inputOf(RESOURCES);
  expect(usesCredentials(inputOf([]))).toBe(false);
  expect(usesCredentials(input)).toBe(true);
  const holder = { key: 'hand', addresses: ['10.1.0.7'], expires: 2_000_000_000 };
  const token = gatewayToken(KEYS, input, holder);
  expect(readToken(KEYS, token)).toMatchObject({
    hosts: [],
    repositories: gatewayRepositories(RESOURCES),
  });
  const variables = gatewayVariables({ address: '10.0.0.5:3128', token, hasRepositories: true });
  expect(variables).toMatchObject({
    GIT_CONFIG_COUNT: '3',
    GIT_CONFIG_KEY_0: 'url.http://10.0.0.5:3128/git/.insteadOf',
    GIT_CONFIG_VALUE_0: 'http://gateway.invalid/git/',
    GIT_CONFIG_VALUE_1: `Authorization: Bearer ${token}`,
    GIT_CONFIG_KEY_2: 'http.http://10.0.0.5:3128/git/.proxy',
  });
});

test('more than a request can carry → refused in words', () => {
  const resources = SessionResourceSpecs.parse(
    Array.from({ length: 20 }, (_, index) => ({
      type: 'github_repository',
      url: `https://a/${index}/${'u'.repeat(1_500)}`,
      credential,
      push: { branches: Array.from({ length: 20 }, (_, other) => `${other}${'b'.repeat(200)}`) },
      mount_path: `/workspace/${index}`,
    })),
  );
  const holder = { key: 'hand', addresses: ['10.1.0.7'], expires: 2_000_000_000 };
  expect(() => gatewayToken(KEYS, inputOf(resources), holder)).toThrow(
    expect.objectContaining({
      type: FAILURE.sandboxUnsupportedConfig,
      message: expect.stringMatching(/more than its token can name.*fewer .*repositories/),
    }),
  );
});
