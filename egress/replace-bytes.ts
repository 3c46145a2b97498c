import { Transform } from 'node:stream';

export interface Replacement {
  /** Not empty. */
  readonly from: Buffer;
  readonly to: Buffer;
}

/** All of it at once. */
export function replaceAll(whole: Buffer, replacements: readonly Replacement[]): Buffer {
  const replacer = new Replacer(replacements);
  return Buffer.concat([...replacer.push(whole), ...replacer.end()]);
}

/**
 * The same of a stream. Where a chunk ends with the beginning of something to be replaced, that
 * much is held back, and nothing else.
 */
export function replacing(replacements: readonly Replacement[]): Transform {
  return inStream(new Replacer(replacements));
}

/** What writes bytes anew as they come. */
export function inStream(replacer: Pick<Replacer, 'push' | 'end'>): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      for (const part of replacer.push(chunk)) this.push(part);
      done();
    },
    flush(done) {
      for (const part of replacer.end()) this.push(part);
      done();
    },
  });
}

/** Leftmost first, and of those that begin together the longest. What was put in is not read again. */
export class Replacer {
  readonly #replacements: readonly Replacement[];
  #held: Buffer = Buffer.alloc(0);

  constructor(replacements: readonly Replacement[]) {
    this.#replacements = replacements.toSorted((a, b) => b.from.length - a.from.length);
  }

  push(chunk: Buffer): Buffer[] {
    const text = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const wholes = this.#replacements.map(({ from }) => from);
    return this.#take(text, (at) => unfinishedFrom(text, wholes, at));
  }

  end(): Buffer[] {
    const text = this.#held;
    return this.#take(text, () => text.length);
  }

  /** @param holdFrom Where something may begin of which more is to come; the end when nowhere. */
  #take(text: Buffer, holdFrom: (at: number) => number): Buffer[] {
    const parts: Buffer[] = [];
    const next = this.#replacements.map(({ from }) => text.indexOf(from));
    let at = 0;
    let hold = holdFrom(at);
    for (;;) {
      const found = this.#first(text, next, at);
      // What begins no later and goes on may be the one that is meant.
      if (found === undefined || hold <= found.index) break;
      parts.push(text.subarray(at, found.index), found.to);
      at = found.end;
      if (hold < at) hold = holdFrom(at);
    }
    parts.push(text.subarray(at, hold));
    this.#held = text.subarray(hold);
    return parts.filter(({ length }) => length > 0);
  }

  #first(
    text: Buffer,
    next: number[],
    at: number,
  ): { readonly index: number; readonly end: number; readonly to: Buffer } | undefined {
    let first: { index: number; end: number; to: Buffer } | undefined;
    for (const [which, { from, to }] of this.#replacements.entries()) {
      let index = next[which] ?? -1;
      if (index !== -1 && index < at) {
        index = text.indexOf(from, at);
        next[which] = index;
      }
      if (index === -1 || (first !== undefined && first.index <= index)) continue;
      first = { index, end: index + from.length, to };
    }
    return first;
  }
}

/** Where the first one begins that the text ends within; the end of the text when there is none. */
export function unfinishedFrom(text: Buffer, wholes: readonly Buffer[], at = 0): number {
  const longest = Math.max(1, ...wholes.map(({ length }) => length));
  for (let index = Math.max(at, text.length - longest + 1); index < text.length; index += 1) {
    if (wholes.some((whole) => isBeginning(text, index, whole))) return index;
  }
  return text.length;
}

function isBeginning(text: Buffer, index: number, whole: Buffer): boolean {
  const length = text.length - index;
  if (length >= whole.length || text[index] !== whole[0]) return false;
  return text.compare(whole, 0, length, index) === 0;
}
