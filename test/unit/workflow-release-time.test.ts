import { expect, test } from 'vitest';
import { releaseTime } from '../../workflows/release-time.ts';

const NOW_MS = Date.parse('2026-01-01T00:00:00Z');

test.each<[string, string, string | undefined]>([
  ['ten minutes → a tenth before', '2026-01-01T00:10:00Z', '2026-01-01T00:09:00.000Z'],
  ['a minute → as long as a release takes', '2026-01-01T00:01:00Z', '2026-01-01T00:00:45.000Z'],
  ['twenty seconds → half of it', '2026-01-01T00:00:20Z', '2026-01-01T00:00:10.000Z'],
  ['a long one → two minutes', '2026-01-02T00:00:00Z', '2026-01-01T23:58:00.000Z'],
  ['over already → then', '2025-12-31T23:59:00Z', '2025-12-31T23:59:00.000Z'],
  ['another zone', '2026-01-01T02:10:00+02:00', '2026-01-01T00:09:00.000Z'],
  ['no time → none', 'soon', undefined],
])('%s', (_name, expiresAt, expected) => {
  expect(releaseTime(expiresAt, NOW_MS)).toBe(expected);
});
