import { expect, test } from 'vitest';
import { createTurns } from '../../vault/kv/turns.ts';

test('a crowd → at most so many at once, in order, also when some fail', async () => {
  const inTurn = createTurns(3);
  let running = 0;
  let most = 0;
  const begun: number[] = [];
  const results = await Promise.allSettled(
    Array.from({ length: 50 }, (_, index) =>
      inTurn(async () => {
        begun.push(index);
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        if (index % 7 === 0) throw new Error('one of them');
        return index;
      }),
    ),
  );
  expect(most).toBe(3);
  expect(begun).toEqual([...begun].sort((one, other) => one - other));
  expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(8);
  expect(await inTurn(async () => 'still open')).toBe('still open');
});
