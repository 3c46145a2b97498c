import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { releaseAll } from '../../activities/hands/local/release-all.ts';
import {
  type KillPoint,
  type KillWorld,
  type Outcome,
  replayAll,
  runKilledSession,
  runLongCommand,
  STEPS,
  startKillWorld,
} from './kill-session.ts';

/** Kills a real worker at each point of a session of its own, and compares with an undisturbed one. */
export function describeKills(points: readonly KillPoint[]): void {
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
      await releaseAll(stateFolder);
      await rm(stateFolder, { recursive: true, force: true });
    });

    test('undisturbed → every line once, over several runs', () => {
      expect(undisturbed.lines).toEqual(Array.from({ length: STEPS }, (_, step) => `line ${step}`));
      expect(undisturbed.runs).toBeGreaterThanOrEqual(4);
    });

    test.each(points.map((point) => [nameOf(point), point] as const))(
      '%s → the same log, every line once',
      async (_name, point) => {
        const outcome = await runKilledSession(world, point);
        expect(outcome.lines).toEqual(undisturbed.lines);
        expect(outcome.normalized).toBe(undisturbed.normalized);
      },
    );

    test('within a command of 6 s → neither run again nor lost', async () => {
      const outcome = await runLongCommand(world);
      expect(outcome.lines).toEqual(['started', 'ended']);
      expect(outcome.results).toEqual(['it is done']);
      expect(outcome.stopReason).toEqual({ type: 'end_turn' });
    });

    test('afterwards every run replays', async () => {
      expect(await replayAll(world)).toBeGreaterThan(points.length);
    });
  });
}

function nameOf(point: KillPoint): string {
  return point.at === 'roll_over' ? `at roll-over ${point.run}` : `${point.at}, step ${point.step}`;
}
