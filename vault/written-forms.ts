type Form = (text: string) => string;

/** Escapes of one sign, by what kind of text it is put into. */
type Escape = (sign: string) => string;

const toPercent: Escape = (sign) =>
  Buffer.from(sign).toString('hex').toUpperCase().replaceAll(/../g, '%$&');
const toUnicode: Escape = (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`;
const toEntity: Escape = (sign) => `&#${sign.charCodeAt(0)};`;
const toHexEntity: Escape = (sign) => `&#x${sign.charCodeAt(0).toString(16).toUpperCase()};`;
const NAMED_ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** As clients, servers and libraries write addresses and forms. */
const IN_URLS: readonly Form[] = [
  encodeURIComponent,
  (text) => encodeURIComponent(text).replaceAll('%20', '+'),
  (text) => encodeURIComponent(text).replaceAll(/[!'()*~]/g, toPercent),
  (text) => new URLSearchParams({ '': text }).toString().slice(1),
  // What a path, a query and a password leave of it.
  (text) => text.replaceAll(/[^!$-;=@-Z[\\\]_a-z|~]/g, toPercent),
  (text) => text.replaceAll(/[^!$%&(-;=?-Z[-`a-z{|}~]/g, toPercent),
  (text) => text.replaceAll(/[^!$%&(-.0-9A-Z_a-z~]/g, toPercent),
  (text) => text.replaceAll(/./gs, toPercent),
];

/** As JavaScript, PHP, Go, Gson and .NET write JSON. */
const IN_JSON: readonly Form[] = [
  toJsonText,
  (text) => toJsonText(text).replaceAll('/', '\\/'),
  (text) => toJsonText(text).replaceAll(/[<>&]/g, toUnicode),
  (text) => toJsonText(text).replaceAll(/[<>&=']/g, toUnicode),
  (text) => upperCase(text.replaceAll(/[<>&+'"`\\]|[^ -~]/g, toUnicode)),
  (text) => text.replaceAll(/./gs, toUnicode),
];

const IN_HTML: readonly Form[] = [
  (text) => text.replaceAll(/[&<>]/g, (sign) => NAMED_ENTITIES[sign] ?? sign),
  (text) => text.replaceAll(/[&<>"']/g, (sign) => NAMED_ENTITIES[sign] ?? sign),
  (text) => text.replaceAll(/[&<>"'`=/+]/g, toHexEntity),
  (text) => text.replaceAll(/[&<>"'`=/+]/g, toEntity),
];

const AS_TEXT: readonly Form[] = [
  (text) => text,
  ...IN_URLS,
  ...IN_URLS.map(
    (form): Form =>
      (text) =>
        form(text).replaceAll(/%[0-9A-F]{2}/g, toLowerCase),
  ),
  ...IN_JSON,
  ...IN_JSON.map(
    (form): Form =>
      (text) =>
        toJsonText(form(text)),
  ),
  ...IN_HTML,
];

const AS_BYTES: readonly Form[] = [
  (text) => Buffer.from(text).toString('hex'),
  (text) => Buffer.from(text).toString('hex').toUpperCase(),
  ...[0, 1, 2].flatMap((before): Form[] => [
    (text) => base64Within(text, before),
    (text) => base64Within(text, before).replaceAll('+', '-').replaceAll('/', '_'),
    (text) => encodeURIComponent(base64Within(text, before)),
    (text) => base64Within(text, before).replaceAll('/', '\\/'),
    (text) => upperCase(base64Within(text, before).replaceAll('+', toUnicode)),
  ]),
];

/**
 * In which a server may say again what it was sent, with what else there may be around it. A form of
 * two texts is the same form: what stands for the one can be replaced by what stands for the other.
 */
export const WRITTEN_FORMS: readonly Form[] = [...AS_TEXT, ...AS_BYTES];

/** Less of a form that was cut says nothing. */
const MIN_CUT_LENGTH = 8;

/**
 * Half of a form: where so much of its beginning stands, and it was cut, that is taken for it too.
 * Undefined for one that is too short to be told by half of it.
 */
export function leastBeginning(form: string): string | undefined {
  const half = form.slice(0, Math.ceil(form.length / 2));
  return half.length < MIN_CUT_LENGTH ? undefined : half;
}

/** As it stands between the quotes of a JSON string. */
export function toJsonText(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/**
 * The digits of base64 that a text alone decides, when so many bytes (modulo 3) come before it: what
 * comes after is as unknown as that.
 */
function base64Within(text: string, before: number): string {
  const bytes = Buffer.from(text);
  const digits = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
  const first = Math.ceil((before * 8) / 6);
  const end = Math.floor(((before + bytes.length) * 8) / 6);
  return digits.slice(first, end);
}

function upperCase(json: string): string {
  return json.replaceAll(/\\u[0-9a-f]{4}/g, (sign) => `\\u${sign.slice(2).toUpperCase()}`);
}

function toLowerCase(text: string): string {
  return text.toLowerCase();
}
