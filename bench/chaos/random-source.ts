/** Numbers that come again with the same seed, so that a run can be repeated. */
export interface RandomSource {
  /** From `low` up to, not including, `high`. */
  between(low: number, high: number): number;
  pick<Item>(items: readonly Item[]): Item;
}

export function createRandomSource(seed: number): RandomSource {
  let state = seed >>> 0;
  /** Mulberry32. */
  const next = (): number => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between: RandomSource['between'] = (low, high) => low + next() * (high - low);
  return {
    between,
    pick(items) {
      const item = items[Math.floor(between(0, items.length))];
      if (item === undefined) throw new RangeError('there is nothing to pick from');
      return item;
    },
  };
}
