import { leastBeginning, WRITTEN_FORMS } from '../vault/written-forms.ts';
import type { CutReplacement } from './replace-beginnings.ts';
import type { Replacement } from './replace-bytes.ts';

/** A variable's value and what stands for it in the sandbox. */
export interface PlacedValue {
  readonly placeholder: string;
  readonly value: string;
}

/** What turns an answer's values back into their placeholders, however they are written. */
export function concealing(values: readonly PlacedValue[]): readonly Replacement[] {
  const known = new Map<string, string>();
  for (const { value, placeholder } of values) {
    for (const write of WRITTEN_FORMS) {
      const from = write(value);
      if (!known.has(from)) known.set(from, write(placeholder));
    }
  }
  return [...known].map(([from, to]) => ({ from: Buffer.from(from), to: Buffer.from(to) }));
}

/** The same for those that a server has cut short. */
export function concealingCut(concealed: readonly Replacement[]): readonly CutReplacement[] {
  return concealed.flatMap(({ from, to }) => {
    const least = leastBeginning(from.toString());
    return least === undefined ? [] : [{ from, to, least: Buffer.from(least) }];
  });
}
