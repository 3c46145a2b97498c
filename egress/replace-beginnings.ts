import { type Replacement, unfinishedFrom } from './replace-bytes.ts';

/** What is replaced also where only its beginning stands. */
export interface CutReplacement extends Replacement {
  /** So much of the beginning, at least. */
  readonly least: Buffer;
}

/**
 * Puts something else in the place of beginnings, each as far as it goes; once for those that
 * overlap. Where a chunk ends within one, that much is held back.
 */
export class BeginningReplacer {
  readonly #replacements: readonly CutReplacement[];
  #held: Buffer = Buffer.alloc(0);
  /** So much of what is held was replaced already. */
  #replaced = 0;

  constructor(replacements: readonly CutReplacement[]) {
    this.#replacements = replacements;
  }

  push(chunk: Buffer): Buffer[] {
    const text = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const wholes = this.#replacements.map(({ from }) => from);
    return this.#take(text, unfinishedFrom(text, wholes));
  }

  end(): Buffer[] {
    return this.#take(this.#held, this.#held.length);
  }

  #take(text: Buffer, end: number): Buffer[] {
    const parts: Buffer[] = [];
    const next = this.#replacements.map(({ least }) => text.indexOf(least));
    let replaced = this.#replaced;
    for (;;) {
      const start = Math.min(end, ...next.filter((index) => index >= 0));
      if (start === end) break;
      const { length, to } = this.#longestAt(text, start);
      if (start >= replaced) parts.push(text.subarray(replaced, start), to);
      replaced = Math.max(replaced, start + length);
      for (const [which, { least }] of this.#replacements.entries()) {
        if (next[which] === start) next[which] = text.indexOf(least, start + 1);
      }
    }
    if (replaced < end) parts.push(text.subarray(replaced, end));
    this.#held = text.subarray(end);
    this.#replaced = Math.max(0, replaced - end);
    return parts.filter(({ length }) => length > 0);
  }

  #longestAt(text: Buffer, start: number): { readonly length: number; readonly to: Buffer } {
    let longest = { length: 0, to: Buffer.alloc(0) as Buffer };
    for (const { from, to, least } of this.#replacements) {
      const length = commonLength(text, start, from);
      if (length >= least.length && length > longest.length) longest = { length, to };
    }
    return longest;
  }
}

function commonLength(text: Buffer, start: number, whole: Buffer): number {
  let length = 0;
  while (length < whole.length && text[start + length] === whole[length]) length += 1;
  return length;
}
