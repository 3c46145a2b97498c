import { describe, expect, test } from 'vitest';
import {
  handIdentity,
  handKey,
  handSelector,
  jobName,
  nameJob,
  podSelector,
} from '../../k8s/hand-labels.ts';

const TEMPORAL = { name: 'default', id: 'b8f3' };
const HAND = { session_id: 'session-1', chain_id: 'run-1', name: 'main', generation: 1 };

describe('key', () => {
  test.each([
    ['another session', TEMPORAL, { ...HAND, session_id: 'session-2' }],
    ['the same session id, used again', TEMPORAL, { ...HAND, chain_id: 'run-2' }],
    ['another hand', TEMPORAL, { ...HAND, name: 'gpu' }],
    ['another generation', TEMPORAL, { ...HAND, generation: 2 }],
    ['another server’s namespace of that name', { ...TEMPORAL, id: 'c901' }, HAND],
    [
      'parts that join to the same text',
      TEMPORAL,
      { ...HAND, session_id: 'session-1","main', name: '' },
    ],
  ])('%s → another key, Job and selector', (_what, temporal, hand) => {
    expect(handKey(temporal, hand)).not.toBe(handKey(TEMPORAL, HAND));
    expect(jobName(temporal, hand)).not.toBe(jobName(TEMPORAL, HAND));
    expect(handSelector(temporal, hand)).not.toBe(handSelector(TEMPORAL, HAND));
  });

  test('a namespace that is renamed → the same key', () => {
    expect(handKey({ ...TEMPORAL, name: 'renamed' }, HAND)).toBe(handKey(TEMPORAL, HAND));
  });

  test('fits a label, a name and a pod’s name, whatever the session is called', () => {
    const hand = { ...HAND, session_id: 'ü/'.repeat(500), name: '' };
    expect(jobName(TEMPORAL, hand)).toMatch(/^[a-z0-9-]{1,52}$/);
    for (const value of Object.values(handIdentity(TEMPORAL, hand).labels)) {
      expect(value).toMatch(/^[a-zA-Z0-9]{1,63}$/);
    }
  });
});

test('a person reads whose Job it is', () => {
  expect(handIdentity(TEMPORAL, HAND).annotations).toEqual({
    'drover.dev/temporal-namespace': 'default',
    'drover.dev/session-id': 'session-1',
    'drover.dev/chain-id': 'run-1',
    'drover.dev/hand-name': 'main',
    'drover.dev/generation': '1',
  });
});

test('pods are selected by their Job, whoever’s it became', () => {
  const jobs = ['one', 'two'].map((name) =>
    nameJob({ metadata: {} }, name, { labels: {}, annotations: {} }),
  );
  expect(podSelector(jobs)).toBe('batch.kubernetes.io/job-name in (one,two)');
});
