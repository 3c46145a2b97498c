import type { Canaries } from './canaries.ts';
import { compressedParts } from './compressed-parts.ts';

/** Where something may lie about. */
export interface Place {
  readonly name: string;
  /** What is there, in pieces that are searched each on its own. */
  pieces(): Iterable<Buffer> | AsyncIterable<Buffer>;
}

export interface Hit {
  readonly place: string;
  /** The canary's name, or that only its mark is there. */
  readonly canary: string;
  readonly encoding: string;
  /** What stands around the first of them. */
  readonly near: string;
}

/** A file in an archive in an archive. */
const MAX_DEPTH = 3;
const NEAR_BYTES = 80;

/** Every canary in every place, told once for each encoding. */
export async function searchPlaces(
  canaries: Canaries | readonly Canaries[],
  places: Iterable<Place> | AsyncIterable<Place>,
): Promise<Hit[]> {
  const hits = new Map<string, Hit>();
  for await (const place of places) {
    for await (const piece of place.pieces()) {
      for (const found of hitsIn([canaries].flat(), piece, '')) {
        const key = JSON.stringify([place.name, found.canary, found.encoding]);
        if (!hits.has(key)) hits.set(key, { place: place.name, ...found });
      }
    }
  }
  return [...hits.values()];
}

export function textPlace(name: string, text: string): Place {
  return { name, pieces: () => [Buffer.from(text)] };
}

function* hitsIn(
  all: readonly Canaries[],
  piece: Buffer,
  wrapping: string,
  depth = 0,
): Generator<Omit<Hit, 'place'>> {
  for (const canaries of all) yield* spelledIn(canaries, piece, wrapping);
  if (depth === MAX_DEPTH) return;
  for (const part of compressedParts(piece)) {
    yield* hitsIn(all, part, `compressed, ${wrapping}`, depth + 1);
  }
}

function* spelledIn(
  { spellings, named }: Canaries,
  piece: Buffer,
  wrapping: string,
): Generator<Omit<Hit, 'place'>> {
  for (const { encoding, bytes } of spellings) {
    const at = piece.indexOf(bytes);
    if (at < 0) continue;
    const around = piece.toString('latin1', Math.max(0, at - NEAR_BYTES), at + NEAR_BYTES);
    const near = around.replaceAll(/[^ -~]/g, '.');
    const names = [...named].flatMap(([name, starts]) => {
      const start = starts.find((one) => one.encoding === encoding);
      return start !== undefined && piece.includes(start.bytes) ? [name] : [];
    });
    for (const canary of names.length === 0 ? ['the mark alone'] : names) {
      yield { canary, encoding: `${wrapping}${encoding}`, near };
    }
  }
}
