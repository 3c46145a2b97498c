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
}

/** A file in an archive in an archive. */
const MAX_DEPTH = 3;

/** Every canary in every place, told once for each encoding. */
export async function searchPlaces(
  canaries: Canaries,
  places: Iterable<Place> | AsyncIterable<Place>,
): Promise<Hit[]> {
  const hits = new Map<string, Hit>();
  for await (const place of places) {
    for await (const piece of place.pieces()) {
      for (const found of hitsIn(canaries, piece, '')) {
        hits.set(JSON.stringify([place.name, found]), { place: place.name, ...found });
      }
    }
  }
  return [...hits.values()];
}

export function textPlace(name: string, text: string): Place {
  return { name, pieces: () => [Buffer.from(text)] };
}

function* hitsIn(
  canaries: Canaries,
  piece: Buffer,
  wrapping: string,
  depth = 0,
): Generator<Omit<Hit, 'place'>> {
  for (const { encoding, bytes } of canaries.spellings) {
    if (!piece.includes(bytes)) continue;
    const named = [...canaries.named].filter(([, spellings]) => {
      const spelling = spellings.find((one) => one.encoding === encoding);
      return spelling !== undefined && piece.includes(spelling.bytes);
    });
    const names = named.length === 0 ? ['the mark alone'] : named.map(([name]) => name);
    for (const canary of names) yield { canary, encoding: `${wrapping}${encoding}` };
  }
  if (depth === MAX_DEPTH) return;
  for (const part of compressedParts(piece)) {
    yield* hitsIn(canaries, part, `compressed, ${wrapping}`, depth + 1);
  }
}
