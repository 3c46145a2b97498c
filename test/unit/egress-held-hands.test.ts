import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { HandToken } from '../../egress/hand-token.ts';
import { createHeldHands } from '../../egress/held-hands.ts';
import type { HeldHands } from '../../protocol/messages.ts';

const TOKEN = HandToken.parse({
  session: 'session-1',
  chain_id: 'chain-1',
  name: 'main',
  generation: 2,
  hand: 'key',
  addresses: ['10.0.0.7'],
  hosts: null,
  expires: 1,
});
const HELD: HeldHands = { chain_id: 'chain-1', generations: { main: 2 } };

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test('the session holds the hand → goes on', async () => {
  await createHeldHands(async () => HELD).check(TOKEN);
});

describe('refused in words', () => {
  test.each<[string, HeldHands | undefined]>([
    ['another generation', { ...HELD, generations: { main: 3 } }],
    ['another hand', { ...HELD, generations: { gpu: 2 } }],
    ['another session of that id', { ...HELD, chain_id: 'chain-2' }],
    ['no session that is open', undefined],
  ])('%s', async (_what, held) => {
    await expect(createHeldHands(async () => held).check(TOKEN)).rejects.toMatchObject({
      status: 403,
      reason: 'not-held',
      message: 'session session-1 does not hold this hand any more',
    });
  });

  test('nobody can tell, and the next one asks again', async () => {
    const answers = [Promise.reject(new Error('away')), Promise.resolve(HELD)];
    const held = createHeldHands(() => answers.shift() ?? Promise.reject(new Error('asked')));
    await expect(held.check(TOKEN)).rejects.toMatchObject({
      status: 503,
      message: 'session session-1 cannot be asked whether it holds this hand still',
    });
    await held.check(TOKEN);
  });
});

test('asked once for five seconds, and again after them', async () => {
  let asked = 0;
  const held = createHeldHands(async () => {
    asked += 1;
    return asked === 1 ? HELD : undefined;
  });
  await Promise.all([held.check(TOKEN), held.check(TOKEN)]);
  vi.advanceTimersByTime(4_999);
  await held.check(TOKEN);
  expect(asked).toBe(1);
  vi.advanceTimersByTime(1);
  await expect(held.check(TOKEN)).rejects.toMatchObject({ status: 403 });
  expect(asked).toBe(2);
});
