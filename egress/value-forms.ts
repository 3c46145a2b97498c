import type { Replacement } from './replace-bytes.ts';

/** A variable's value and what stands for it in the sandbox. */
export interface PlacedValue {
  readonly placeholder: string;
  readonly value: string;
}

type Encode = (text: string) => string;

/** In which a server may say again what it was sent, with what else there may be around it. */
const ENCODINGS: readonly Encode[] = [
  (text) => text,
  encodeURIComponent,
  (text) => encodeURIComponent(text).replaceAll('%20', '+'),
  (text) => encodeURIComponent(text).replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
  (text) => encodeURIComponent(text).replace(/[!'()*~]/g, toPercent),
  (text) => new URLSearchParams({ '': text }).toString().slice(1),
  toJsonText,
  (text) => toJsonText(text).replaceAll('/', '\\/'),
  (text) => text.replace(/[&<>"']/g, (character) => HTML[character] ?? character),
  (text) => Buffer.from(text).toString('hex'),
  (text) => Buffer.from(text).toString('hex').toUpperCase(),
  ...[0, 1, 2].flatMap((offset): Encode[] => [
    (text) => base64Within(text, offset),
    (text) => base64Within(text, offset).replaceAll('+', '-').replaceAll('/', '_'),
  ]),
];

const HTML: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** What turns an answer's values back into their placeholders, however they are written. */
export function concealing(values: readonly PlacedValue[]): readonly Replacement[] {
  const known = new Map<string, string>();
  for (const { value, placeholder } of values) {
    for (const encode of ENCODINGS) {
      const from = encode(value);
      if (!known.has(from)) known.set(from, encode(placeholder));
    }
  }
  return [...known].map(([from, to]) => ({ from: Buffer.from(from), to: Buffer.from(to) }));
}

/** As it stands between the quotes of a JSON string. */
export function toJsonText(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/**
 * The digits of base64 that a text alone decides, when so many bytes (modulo 3) come before it: what
 * comes after is as unknown as that.
 */
function base64Within(text: string, offset: number): string {
  const bytes = Buffer.from(text);
  const digits = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  const first = Math.ceil((offset * 8) / 6);
  const end = Math.floor(((offset + bytes.length) * 8) / 6);
  return digits.slice(first, end);
}

function toPercent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
