import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type KillPoint,
  type KillWorld,
  type Outcome,
  runKilledSession,
  STEPS,
  startKillWorld,
} from '../support/kill-session.ts';

const points: readonly KillPoint[] = [
  ...Array.from({ length: STEPS }, (_, step): KillPoint[] => [
    { at: 'streaming', step },
    { at: 'running', step },
    { at: 'between', step },
  ]).flat(),
  { at: 'streaming', step: STEPS },
  { at: 'roll_over', run: 1 },
  { at: 'roll_over', run: 2 },
  { at: 'roll_over', run: 3 },
];

describe('kill -9 of the worker', () => {
  let world: KillWorld;
  let stateFolder: string;
  let undisturbed: Outcome;

  beforeAll(async () => {
    stateFolder = await mkdtemp(join(tmpdir(), 'drover-kill-'));
    world = await startKillWorld(stateFolder);
    undisturbed = await runKilledSession(world);
  });

  afterAll(async () => {
    await world?.close();
    await rm(stateFolder, { recursive: true, force: true });
  });

  test('undisturbed → every line once, over several runs', () => {
    expect(undisturbed.lines).toEqual(Array.from({ length: STEPS }, (_, step) => `line ${step}`));
    expect(undisturbed.runs).toBeGreaterThanOrEqual(4);
  });

  test.each(points.map((point) => ({ ...point, where: 'step' in point ? point.step : point.run })))(
    '$at $where → the same log, every line once',
    async (point) => {
      const outcome = await runKilledSession(world, point);
      expect(outcome.lines).toEqual(undisturbed.lines);
      expect(outcome.normalized).toBe(undisturbed.normalized);
    },
  );
});
