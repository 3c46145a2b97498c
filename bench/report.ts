/** One claim: a figure and what it must be. */
export interface Target {
  readonly name: string;
  readonly value: number;
  readonly limit: number;
  /** Default `at_most`. */
  readonly is?: 'at_most' | 'at_least' | 'equal';
}

export interface Report {
  readonly bench: string;
  readonly figures: Readonly<Record<string, unknown>>;
  readonly targets: readonly Target[];
  /** What was measured in the same run to compare with. */
  readonly baseline: Readonly<Record<string, unknown>>;
}

export interface CheckedTarget extends Target {
  readonly met: boolean;
}

export interface CheckedReport extends Omit<Report, 'targets'> {
  /** Every target is met. */
  readonly ok: boolean;
  readonly targets: readonly CheckedTarget[];
}

/** A figure that is not a number misses its target, and a report without targets proves nothing. */
export function checkReport({ bench, figures, targets, baseline }: Report): CheckedReport {
  const checked = targets.map((target) => ({ ...target, met: isMet(target) }));
  const ok = checked.length > 0 && checked.every(({ met }) => met);
  return { bench, ok, figures, targets: checked, baseline };
}

function isMet({ value, limit, is = 'at_most' }: Target): boolean {
  if (is === 'equal') return value === limit;
  return is === 'at_most' ? value <= limit : value >= limit;
}

/** Progress for whoever waits; standard output is for the result. */
export function progress(line: string): void {
  const seconds = (performance.now() / 1000).toFixed(1).padStart(6);
  process.stderr.write(`${seconds} s  ${line}\n`);
}
