/** Distribution of one measured quantity; the unit is in the name of the figure that holds it. */
export interface Distribution {
  readonly n: number;
  readonly p50: number;
  readonly p99: number;
  readonly min: number;
  readonly max: number;
}

/** @throws RangeError without samples: a figure of nothing would read as a result */
export function distributionOf(samples: readonly number[]): Distribution {
  const sorted = [...samples].sort((a, b) => a - b);
  return {
    n: sorted.length,
    p50: rounded(percentile(sorted, 0.5)),
    p99: rounded(percentile(sorted, 0.99)),
    min: rounded(percentile(sorted, 0)),
    max: rounded(percentile(sorted, 1)),
  };
}

/** Nearest rank, so that every figure is a value that was measured. */
function percentile(sorted: readonly number[], share: number): number {
  const rank = Math.max(1, Math.ceil(share * sorted.length));
  const value = sorted[rank - 1];
  if (value === undefined) throw new RangeError('there are no samples');
  return value;
}

/** @throws RangeError without samples */
export function percentileOf(samples: readonly number[], share: number): number {
  return rounded(
    percentile(
      [...samples].sort((a, b) => a - b),
      share,
    ),
  );
}

export function medianOf(samples: readonly number[]): number {
  return distributionOf(samples).p50;
}

/** How many times `value` is `base`. */
export function ratio(value: number, base: number): number {
  return rounded(value / base);
}

export function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** Milliseconds that `work` takes. */
export async function timed<Result>(
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly ms: number }> {
  const start = performance.now();
  const result = await work();
  return { result, ms: performance.now() - start };
}
