import { randomBytes } from 'node:crypto';
import { type Spelling, spellingsOf } from './spellings.ts';

/**
 * Secrets that are looked for. All of them begin with one mark, so that one search finds them all and
 * a part of one counts as the whole.
 */
export interface Canaries {
  readonly mark: string;
  readonly spellings: readonly Spelling[];
  /** Of those that were made, with mark and name, by name. */
  readonly named: ReadonlyMap<string, readonly Spelling[]>;
  /** A new one, with signs that each encoding writes in its own way, as tokens and passwords may have. */
  make(name: string): string;
}

const SIGNS = '+/~>&=';

export function createCanaries(): Canaries {
  const mark = randomWord();
  const named = new Map<string, readonly Spelling[]>();
  return {
    mark,
    spellings: spellingsOf(mark),
    named,
    make(name) {
      const start = `${mark}-${name.replaceAll(/[^a-z0-9]/g, '-')}-`;
      named.set(name, spellingsOf(start));
      return `${start}${SIGNS}${randomWord()}`;
    },
  };
}

function randomWord(): string {
  return randomBytes(8).toString('hex');
}
