import type { IncomingHttpHeaders } from 'node:http';
import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { toJsonText } from '../vault/written-forms.ts';
import type { Header } from './forward-headers.ts';
import { Refusal } from './refusal.ts';
import { BeginningReplacer } from './replace-beginnings.ts';
import { inStream, type Replacement, replaceAll, replacing } from './replace-bytes.ts';
import { concealing, concealingCut, type PlacedValue } from './value-forms.ts';

/** A variable's value, and where in a request it may be put. */
export interface VariableValue extends PlacedValue {
  readonly name: string;
  readonly header: boolean;
  readonly body: boolean;
}

/** How a request and its answer are written anew on their way. */
export interface Rewriting {
  /** @throws {Refusal} A value cannot be sent so. */
  requestHeaders(headers: readonly Header[]): readonly Header[];
  /** Undefined: the body goes as it is. */
  requestBody(headers: IncomingHttpHeaders): readonly Replacement[] | undefined;
  answerHeaders(headers: readonly Header[]): readonly Header[];
  answerText(text: string): string;
  /**
   * What the answer's body goes through, one after the other.
   *
   * @throws {Refusal} It is encoded in a way that cannot be read.
   */
  answerBody(headers: IncomingHttpHeaders): readonly Transform[];
}

/** A part of a body could have a part of a value in it; and what cannot be read cannot be checked. */
const DROPPED = new Set(['accept-encoding', 'range', 'if-range']);
const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/**
 * Puts values in the place of placeholders in what goes to a host, and placeholders in the place of
 * values in what comes back: a server that repeats what it was sent tells the sandbox nothing.
 */
export function substituting(values: readonly VariableValue[]): Rewriting {
  const concealed = concealing(values);
  const inHeaders = values.filter(({ header }) => header);
  const concealedCut = concealingCut(concealed);
  const conceal = (text: string): string => {
    const whole = replaceAll(Buffer.from(text, 'latin1'), concealed);
    const cut = new BeginningReplacer(concealedCut);
    return Buffer.concat([...cut.push(whole), ...cut.end()]).toString('latin1');
  };
  return {
    requestHeaders: (headers) => [
      ...headers
        .filter(([name]) => !DROPPED.has(name.toLowerCase()))
        .map(([name, value]) => [name, revealInHeader(value, inHeaders)] as const),
      ['Accept-Encoding', 'identity'],
    ],
    requestBody: (headers) => replacementsInBody(values, headers),
    answerHeaders: (headers) =>
      headers
        .filter(([name]) => !/^content-encoding$/i.test(name))
        .map(([name, value]) => [conceal(name), conceal(value)] as const),
    answerText: conceal,
    answerBody: (headers) => [
      ...decoders(headers),
      replacing(concealed),
      inStream(new BeginningReplacer(concealedCut)),
    ],
  };
}

function revealInHeader(text: string, values: readonly VariableValue[]): string {
  const [, scheme = '', credentials] = /^(basic +)([a-z0-9+/_-]+=*) *$/i.exec(text) ?? [];
  if (credentials === undefined) return reveal(text, values);
  const decoded = Buffer.from(credentials, 'base64').toString();
  const revealed = reveal(decoded, values, anyText);
  // What has no placeholder in it goes on as it was written.
  return revealed === decoded ? text : `${scheme}${Buffer.from(revealed).toString('base64')}`;
}

function reveal(
  text: string,
  values: readonly VariableValue[],
  check: (value: VariableValue) => void = headerText,
): string {
  return values.reduce((changed, variable) => {
    if (!changed.includes(variable.placeholder)) return changed;
    check(variable);
    return changed.replaceAll(variable.placeholder, () => variable.value);
  }, text);
}

const anyText = (): void => {};

function headerText({ name, value }: VariableValue): void {
  if (/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value)) return;
  throw new Refusal({
    status: 502,
    reason: 'credential',
    words: `the value of variable ${name} cannot be put into a header: it is not one line of ASCII`,
  });
}

/** A body that is compressed holds no placeholder that could be seen: it goes as it is. */
function replacementsInBody(
  values: readonly VariableValue[],
  headers: IncomingHttpHeaders,
): readonly Replacement[] | undefined {
  const inBody = values.filter(({ body }) => body);
  const coding = headers['content-encoding'] ?? 'identity';
  if (inBody.length === 0 || coding.toLowerCase() !== 'identity') return undefined;
  const encode = encodingOf(headers['content-type'] ?? '');
  return inBody.map(({ placeholder, value }) => ({
    from: Buffer.from(placeholder),
    to: Buffer.from(encode(value)),
  }));
}

/** So that a value stays one value, whatever characters it has. */
function encodingOf(type: string): (value: string) => string {
  if (/^application\/x-www-form-urlencoded\b/i.test(type)) return encodeURIComponent;
  if (/^[\w.+-]+\/(?:[\w.+-]+\+)?json\b/i.test(type)) return toJsonText;
  return (value) => value;
}

function decoders(headers: IncomingHttpHeaders): Transform[] {
  const coding = (headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (coding === 'identity' || coding === '') return [];
  const create = Object.hasOwn(DECODERS, coding) ? DECODERS[coding] : undefined;
  if (create !== undefined) return [create()];
  throw new Refusal({
    status: 502,
    reason: 'unreadable-answer',
    words: 'the host encoded its answer in a way that was not asked for and cannot be read',
  });
}
