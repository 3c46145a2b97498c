import { describe, expect, test } from 'vitest';
import { distributionOf, ratio } from '../../bench/measure.ts';
import { checkReport, type Target } from '../../bench/report.ts';

describe('distributionOf', () => {
  test('every figure is a value that was measured', () => {
    const samples = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(distributionOf(samples)).toEqual({ n: 200, p50: 100, p99: 198, min: 1, max: 200 });
    expect(distributionOf([7])).toEqual({ n: 1, p50: 7, p99: 7, min: 7, max: 7 });
  });

  test('no samples are no figure', () => {
    expect(() => distributionOf([])).toThrow('no samples');
  });
});

describe('checkReport', () => {
  const check = (...targets: readonly Target[]) =>
    checkReport({ bench: 'made-up', figures: {}, targets, baseline: {} });

  test.each<[Omit<Target, 'name'>, boolean]>([
    [{ value: 12, limit: 12 }, true],
    [{ value: 12.1, limit: 12 }, false],
    [{ value: 20, limit: 20, is: 'at_least' }, true],
    [{ value: 19, limit: 20, is: 'at_least' }, false],
    [{ value: 0, limit: 0, is: 'equal' }, true],
    [{ value: 1, limit: 0, is: 'equal' }, false],
    [{ value: Number.NaN, limit: 12 }, false],
    [{ value: ratio(1, 0), limit: 12 }, false],
  ])('%o → met: %s', (target, met) => {
    expect(check({ name: 'claim', ...target })).toMatchObject({ ok: met, targets: [{ met }] });
  });

  test('one missed target misses all, and no target proves nothing', () => {
    const met = { name: 'met', value: 1, limit: 1 };
    expect(check(met, { name: 'missed', value: 2, limit: 1 }).ok).toBe(false);
    expect(check(met).ok).toBe(true);
    expect(check().ok).toBe(false);
  });
});
