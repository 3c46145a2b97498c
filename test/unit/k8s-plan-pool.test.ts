import type { V1Job } from '@kubernetes/client-node';
import { describe, expect, test } from 'vitest';
import { planPool } from '../../activities/hands/kubernetes/plan-pool.ts';
import { handIdentity, nameJob } from '../../k8s/hand-labels.ts';
import { toPoolJob } from '../../k8s/pool-job.ts';

const NOW = Date.parse('2026-01-02T00:00:00Z');
const TEMPORAL = { name: 'default', id: 'b8f3' };
const KEEPER = { temporal: TEMPORAL, taskQueue: 'drover-hands' };
const HAND = { session_id: 'session-1', chain_id: 'run-1', name: 'main', generation: 1 };
const HOUR_MS = 3_600_000;

function pooled(uid: string, change: { ageMs?: number; status?: V1Job['status'] } = {}): V1Job {
  const made = toPoolJob(KEEPER, { spec: { template: {} } }, [uid]);
  // As it comes from the API: dates are text there.
  const creationTimestamp = new Date(NOW - (change.ageMs ?? 0)).toISOString() as unknown as Date;
  const metadata = { ...made.metadata, uid, creationTimestamp };
  return { ...made, metadata, ...(change.status === undefined ? {} : { status: change.status }) };
}

const claimed = (uid: string): V1Job =>
  nameJob(pooled(uid), `of-${uid}`, handIdentity(TEMPORAL, HAND));
const deleted = (uid: string): V1Job => {
  const job = pooled(uid);
  return { ...job, metadata: { ...job.metadata, deletionTimestamp: new Date(NOW) } };
};
const uidsOf = (jobs: readonly V1Job[]) => jobs.map(({ metadata }) => metadata?.uid).sort();
const failed = { conditions: [{ type: 'Failed', status: 'True' }] };

describe('of a pool', () => {
  test.each<[string, V1Job[], number, string[], string[], number]>([
    ['nothing', [], 2, [], [], 2],
    ['as many as are wanted', [pooled('a'), pooled('b')], 2, ['a', 'b'], [], 0],
    ['a claimed one', [claimed('a'), pooled('b')], 2, ['b'], [], 1],
    ['one that is being deleted', [deleted('a'), pooled('b')], 2, ['b'], [], 1],
    ['one that ended', [pooled('a', { status: failed }), pooled('b')], 2, ['b'], ['a'], 1],
    ['one near its end', [pooled('a', { ageMs: 5 * HOUR_MS }), pooled('b')], 2, ['b'], ['a'], 1],
    ['one in the middle of its life', [pooled('a', { ageMs: 4 * HOUR_MS })], 1, ['a'], [], 0],
    ['nothing that is wanted', [pooled('a')], 0, [], ['a'], 0],
  ])(
    '%s → what can be claimed, what goes, and how many are made',
    (_what, jobs, size, usable, remove, missing) => {
      const plan = planPool(jobs, size, NOW);
      expect(uidsOf(plan.usable)).toEqual(usable);
      expect(uidsOf(plan.remove)).toEqual(remove);
      expect(plan.seeds).toHaveLength(missing);
    },
  );
});

test('too many → every keeper removes the same one', () => {
  const jobs = ['a', 'b', 'c'].map((uid) => pooled(uid));
  const plans = [jobs, [...jobs].reverse()].map((seen) => planPool(seen, 2, NOW));
  expect(uidsOf(plans[0]?.remove ?? [])).toHaveLength(1);
  expect(uidsOf(plans[0]?.remove ?? [])).toEqual(uidsOf(plans[1]?.remove ?? []));
});

test('keepers that see the same make the same Jobs; once those were made and claimed, others', () => {
  const jobs = [claimed('a'), pooled('b')];
  const seedsOf = (seen: V1Job[]) => planPool(seen, 3, NOW).seeds;
  const names = (seen: V1Job[]) =>
    seedsOf(seen).map((seed) => toPoolJob(KEEPER, pooled('x'), seed).metadata?.name);
  expect(names(jobs)).toEqual(names([...jobs].reverse()));
  expect(new Set(names(jobs)).size).toBe(2);
  expect(names([...jobs, claimed('c'), claimed('d')])).not.toContain(names(jobs)[0]);
});

test('a pooled Job says nothing of a session, and ends by itself', () => {
  const job = toPoolJob(KEEPER, { spec: { template: {}, activeDeadlineSeconds: 60 } }, ['a']);
  expect(JSON.stringify(job)).not.toMatch(/session|chain|hand-name|drover.dev\/hand"/);
  expect(job.spec?.activeDeadlineSeconds).toBe(6 * 3600);
});
