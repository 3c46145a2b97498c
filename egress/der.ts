// The few words of DER (ITU-T X.690) that a certificate is written in.

export const sequence = (...parts: readonly Buffer[]): Buffer => value(0x30, ...parts);
export const set = (...parts: readonly Buffer[]): Buffer => value(0x31, ...parts);
export const octets = (content: Buffer): Buffer => value(0x04, content);
export const text = (content: string): Buffer => value(0x0c, Buffer.from(content));
export const yes = (): Buffer => value(0x01, Buffer.from([0xff]));
/** Whole bytes: no bit is unused. */
export const bits = (content: Buffer): Buffer => value(0x03, Buffer.from([0]), content);
export const fewBits = (byte: number, unused: number): Buffer =>
  value(0x03, Buffer.from([unused, byte]));
/** A field of a structure, by its number there, around another value. */
export const explicit = (number: number, content: Buffer): Buffer => value(0xa0 + number, content);
/** The same in place of another value's tag. */
export const implicit = (number: number, content: Buffer): Buffer => value(0x80 + number, content);

/** Of bytes whose first bit is none of a sign. */
export const integer = (content: Buffer): Buffer => value(0x02, content);

export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return value(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(toBase128)]));
}

/** To the second. */
export function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/\.\d+Z$|[-:T]/g, '');
  // Years of two digits, until 2049, must be written so.
  return date.getUTCFullYear() < 2050
    ? value(0x17, Buffer.from(`${digits.slice(2)}Z`))
    : value(0x18, Buffer.from(`${digits}Z`));
}

/** The values that stand in a value, one after the other, each with its tag and length. */
export function partsOf(whole: Buffer): readonly Buffer[] {
  const parts: Buffer[] = [];
  const { start, end } = extentOf(whole, 0);
  for (let at = start; at < end; ) {
    const part = extentOf(whole, at);
    parts.push(whole.subarray(at, part.end));
    at = part.end;
  }
  return parts;
}

/** Without its tag and length. */
export function contentOf(whole: Buffer): Buffer {
  const { start, end } = extentOf(whole, 0);
  return whole.subarray(start, end);
}

function value(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content]);
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 + bytes.length, ...bytes];
}

function toBase128(number: number): number[] {
  const bytes = [number % 128];
  for (let rest = Math.floor(number / 128); rest > 0; rest = Math.floor(rest / 128)) {
    bytes.unshift(0x80 + (rest % 128));
  }
  return bytes;
}

function extentOf(bytes: Buffer, at: number): { readonly start: number; readonly end: number } {
  const first = bytes.readUInt8(at + 1);
  if (first < 0x80) return { start: at + 2, end: at + 2 + first };
  const start = at + 2 + (first - 0x80);
  return { start, end: start + bytes.readUIntBE(at + 2, first - 0x80) };
}
