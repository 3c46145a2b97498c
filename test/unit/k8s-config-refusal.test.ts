import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, test } from 'vitest';
import { createHandActivities } from '../../activities/hands/activities.ts';
import type { HandProvider } from '../../activities/hands/provider.ts';
import { EnvironmentDefinition, type EnvironmentInput } from '../../protocol/environment.ts';
import { FAILURE } from '../../protocol/failure.ts';

function provisionWith(supports: HandProvider['supports'], input: EnvironmentInput) {
  const unused = (): Promise<never> => Promise.reject(new Error('not used'));
  const provider: HandProvider = {
    ...(supports === undefined ? {} : { supports }),
    provision: async () => ({ instance: 'i1' }),
    execute: unused,
    release: unused,
  };
  const { provision } = createHandActivities({ providers: { local: provider } });
  const definition = EnvironmentDefinition.parse(input);
  return new MockActivityEnvironment().run(provision, {
    hand: { session_id: 's', chain_id: 'chain', name: 'main', generation: 1 },
    environment: { id: null, version: null, definition },
    resources: [],
  });
}

test('config that the provider does not heed → refused, naming it and what there is', async () => {
  const config = { image: 'own:1', memory_mib: 512, cpu_cores: 2 };
  await expect(provisionWith(['memory_mib'], { config })).rejects.toMatchObject({
    type: FAILURE.sandboxUnsupportedConfig,
    nonRetryable: true,
    message: expect.stringMatching(/"local".*config\.image, config\.cpu_cores; .*memory_mib/),
  });
});

test('a provider that heeds none → says so', async () => {
  const config = { image: 'own:1' };
  await expect(provisionWith(undefined, { config })).rejects.toThrow('supports no config');
});

test.each([
  ['no config', {}],
  ['an empty one', { config: {} }],
  ['one that it heeds', { config: { image: 'own:1' } }],
])('%s → a hand', async (_what, input) => {
  expect(await provisionWith(['image'], input)).toMatchObject({ hand: { instance: 'i1' } });
});

test.each([
  ['an unknown field', { cpus: 2 }],
  ['a limit as text', { memory_mib: '1Gi' }],
  ['no memory', { memory_mib: 0 }],
])('%s in a config → no environment', (_what, config) => {
  expect(EnvironmentDefinition.safeParse({ config }).success).toBe(false);
});
