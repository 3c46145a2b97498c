import type { HandInstance } from './hand.ts';
import type { BorrowedHand, HandState } from './session.ts';

/** Hands that a session has at the moment, its own and borrowed ones, by their names in it. */
export function presentHands(
  own: Iterable<readonly [string, HandState]>,
  borrowed: Iterable<readonly [string, BorrowedHand]>,
): Record<string, HandInstance> {
  const present: Record<string, HandInstance> = {};
  for (const [name, { instance }] of own) if (instance) present[name] = instance;
  for (const [name, { hand, is_lost }] of borrowed) {
    const { type: _type, task_queue: _queue, ...instance } = hand;
    if (!is_lost) present[name] = instance;
  }
  return present;
}
