import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { describe, expect, test } from 'vitest';
import {
  egressAccess,
  type HandEgress,
  networkOf,
} from '../../activities/hands/kubernetes/hand-egress.ts';
import { readToken } from '../../egress/hand-token.ts';
import { EgressKeysError } from '../../egress/keys.ts';
import { toHandJob } from '../../k8s/hand-job.ts';
import { ANNOTATION } from '../../k8s/hand-labels.ts';
import type { HandRecipe } from '../../k8s/hand-recipe.ts';
import { EnvironmentDefinition } from '../../protocol/environment.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { ProvisionInput } from '../../protocol/hand.ts';

const KEY = { id: 'k1', secret: Buffer.alloc(32, 'k') };
const KEYS = { signing: KEY, byId: new Map([[KEY.id, KEY]]) };
const EGRESS: HandEgress = {
  proxy: { host: '10.0.0.5', port: 3128 },
  readKeys: () => KEYS,
  readCertificate: () => 'the certificate',
};
const POD: V1Pod = {
  status: { podIP: '10.1.0.7', podIPs: [{ ip: '10.1.0.7' }, { ip: 'fd00::7' }] },
};
const JOB = {
  // As JSON has it.
  metadata: { creationTimestamp: '2030-01-01T00:00:00Z' as unknown as Date },
  spec: { activeDeadlineSeconds: 3600 },
} as V1Job;
const NAME = { session_id: 'session-1', chain_id: 'chain-1', name: 'main', generation: 1 };
const HAND = { key: 'hand-1', pod: POD, job: JOB };

const VARIABLE = {
  name: 'API_TOKEN',
  placeholder: 'drover_placeholder_1',
  vault_id: 'vault-1',
  credential_id: 'api',
  hosts: ['api.example.com'],
  header: true,
  body: false,
};

function networking(value: object): ProvisionInput {
  const definition = EnvironmentDefinition.parse({ networking: value });
  return { hand: NAME, environment: { id: null, version: null, definition }, resources: [] };
}
const LIMITED = networking({ type: 'limited', allowed_hosts: ['example.com'] });
const NONE = networking({ type: 'limited' });
const UNRESTRICTED = networking({ type: 'unrestricted' });

test('what policies know a pod by', () => {
  expect(networkOf(UNRESTRICTED, undefined)).toBe('unrestricted');
  expect(networkOf(NONE, undefined)).toBe('none');
  expect(networkOf(LIMITED, EGRESS)).toBe('limited');
  expect(() => networkOf(LIMITED, undefined)).toThrow(
    expect.objectContaining({
      type: FAILURE.sandboxUnsupportedConfig,
      nonRetryable: true,
      message: expect.stringContaining('DROVER_EGRESS_PROXY and DROVER_EGRESS_KEYS'),
    }),
  );
});

test('each network → another label, and another hash, so that no pool and no attempt mixes them', () => {
  const jobOf = (network: HandRecipe['network']) =>
    toHandJob({
      image: 'i',
      program: { type: 'own_image' },
      network,
      cpuCores: 1,
      memoryMib: 64,
      diskMib: 16,
      maxLifetimeSeconds: 60,
      runtimeClassName: null,
      nodeSelector: {},
    } as HandRecipe);
  const jobs = (['none', 'limited', 'unrestricted'] as const).map(jobOf);
  expect(jobs.map(({ spec }) => spec?.template.metadata?.labels?.['drover.dev/network'])).toEqual([
    'none',
    'limited',
    'unrestricted',
  ]);
  expect(
    new Set(jobs.map(({ metadata }) => metadata?.annotations?.[ANNOTATION.specHash])).size,
  ).toBe(3);
});

describe('variables of commands', () => {
  test('no hosts, or all → none', async () => {
    expect(await egressAccess(NONE, EGRESS, HAND)).toEqual({ variables: {} });
    expect(await egressAccess(UNRESTRICTED, EGRESS, HAND)).toEqual({ variables: {} });
  });

  test('hosts → the proxy in every spelling, with a token of the hand', async () => {
    const { variables } = await egressAccess(LIMITED, EGRESS, HAND);
    const url = new URL(variables['HTTPS_PROXY'] ?? '');
    expect(variables).toEqual({
      HTTP_PROXY: url.href.slice(0, -1),
      HTTPS_PROXY: url.href.slice(0, -1),
      http_proxy: url.href.slice(0, -1),
      https_proxy: url.href.slice(0, -1),
      NO_PROXY: 'localhost,127.0.0.1,::1',
      no_proxy: 'localhost,127.0.0.1,::1',
      NODE_USE_ENV_PROXY: '1',
    });
    expect(url.host).toBe('10.0.0.5:3128');
    expect(readToken(KEYS, url.password)).toEqual({
      session: 'session-1',
      chain_id: 'chain-1',
      name: 'main',
      generation: 1,
      hand: 'hand-1',
      addresses: ['10.1.0.7', 'fd00::7'],
      hosts: ['example.com'],
      variables: [],
      repositories: [],
      // One hour and a minute after the Job was made.
      expires: Date.parse('2030-01-01T01:01:00Z') / 1000,
    });
  });

  test.each([
    ['limited', LIMITED, ['example.com']],
    ['unrestricted', UNRESTRICTED, null],
  ] as const)(
    'of a vault, %s network → placeholders, and no way out but the gateway',
    async (_what, input, hosts) => {
      const granted = { ...input, grants: { variables: [VARIABLE] } };
      const { variables, authority } = await egressAccess(granted, EGRESS, HAND);
      expect(networkOf(granted, EGRESS)).toBe('limited');
      expect(variables['API_TOKEN']).toBe('drover_placeholder_1');
      expect(authority).toBe('the certificate');
      const { password } = new URL(variables['HTTPS_PROXY'] ?? '');
      expect(readToken(KEYS, password)).toMatchObject({ hosts, variables: [VARIABLE] });
    },
  );

  test('of a vault, no network → a placeholder and no more', async () => {
    const granted = { ...NONE, grants: { variables: [VARIABLE] } };
    expect(networkOf(granted, EGRESS)).toBe('none');
    expect(await egressAccess(granted, EGRESS, HAND)).toEqual({
      variables: { API_TOKEN: 'drover_placeholder_1' },
    });
  });

  test('of a vault, without a gateway → refused in words', () => {
    const granted = { ...UNRESTRICTED, grants: { variables: [VARIABLE] } };
    expect(() => networkOf(granted, undefined)).toThrow('cannot give hands the use of credentials');
  });

  test('of many vaults → more than a token can name is refused in words', async () => {
    const variables = Array.from({ length: 200 }, (_, index) => ({
      ...VARIABLE,
      name: `V${index}`,
    }));
    await expect(egressAccess({ ...LIMITED, grants: { variables } }, EGRESS, HAND)).rejects.toThrow(
      'may use more than its token can name',
    );
  });

  test('another attempt → the same', async () => {
    expect(await egressAccess(LIMITED, EGRESS, HAND)).toEqual(
      await egressAccess(LIMITED, EGRESS, structuredClone(HAND)),
    );
  });

  test.each<[string, Partial<HandEgress>, Partial<typeof HAND>, string]>([
    [
      'keys that are none',
      {
        readKeys: () => {
          throw new EgressKeysError('/keys cannot be read (ENOENT).');
        },
      },
      {},
      'DROVER_EGRESS_KEYS: /keys cannot be read (ENOENT).',
    ],
    [
      'a proxy that has no address',
      { proxy: { host: 'none.invalid', port: 1 } },
      {},
      'DROVER_EGRESS_PROXY: none.invalid cannot be resolved',
    ],
    ['a pod that has no address', {}, { pod: {} }, 'no address yet'],
  ])('%s → tried again, in words', async (_what, egress, hand, words) => {
    await expect(
      egressAccess(LIMITED, { ...EGRESS, ...egress }, { ...HAND, ...hand }),
    ).rejects.toMatchObject({
      type: FAILURE.sandboxUnavailable,
      nonRetryable: false,
      message: expect.stringContaining(words),
    });
  });
});
