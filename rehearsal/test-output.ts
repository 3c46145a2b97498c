export interface FailingTest {
  readonly name: string;
  readonly expected?: string;
  readonly actual?: string;
}

/** The first failing test in the output of `node --test`, as TAP or as its readable report. */
export function failingTest(output: string): FailingTest | undefined {
  const name = (/^\s*not ok \d+ - (.+)$/m.exec(output) ??
    /^\s*✖ (.+?)( \([\d.]+ms\))?$/m.exec(output))?.[1];
  if (name === undefined) return undefined;
  const expected = valueAfter('expected', output);
  const actual = valueAfter('actual', output);
  return {
    name,
    ...(expected === undefined ? {} : { expected }),
    ...(actual === undefined ? {} : { actual }),
  };
}

/** Whether tests ran and none failed. */
export function isGreen(output: string): boolean {
  return countOf('pass', output) > 0 && countOf('fail', output) === 0;
}

function valueAfter(key: string, output: string): string | undefined {
  return new RegExp(`^\\s*${key}: (.+?),?$`, 'm').exec(output)?.[1];
}

function countOf(key: string, output: string): number {
  return Number(new RegExp(`^\\s*(?:#|ℹ) ${key} (\\d+)$`, 'm').exec(output)?.[1] ?? -1);
}
