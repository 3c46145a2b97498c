type Reflect = (text: string) => string;

/** Ways in which servers say again what they were sent, as their languages and frameworks write it. */
export const REFLECTIONS = {
  plain: (text) => text,
  base64: (text) => btoa(text),
  'base64, one byte on': (text) => btoa(`x${text}`),
  'base64, two bytes on': (text) => btoa(`xy${text}`),
  'base64 for URLs': (text) => Buffer.from(`x ${text}`).toString('base64url'),
  hex: (text) => Buffer.from(text).toString('hex'),
  'hex in upper case': (text) => Buffer.from(text).toString('hex').toUpperCase(),
  'a part of a URL': encodeURIComponent,
  'a part of a URL in lower case': (text) =>
    encodeURIComponent(text).replaceAll(/%[0-9A-F]{2}/g, (sign) => sign.toLowerCase()),
  'a path': (text) => new URL(`http://a/${text}`).pathname,
  'a query': (text) => new URL(`http://a/?q=${text}`).search,
  'a password in a URL': (text) => {
    const url = new URL('http://a');
    url.password = text;
    return url.href;
  },
  'a form': (text) => new URLSearchParams({ text }).toString(),
  'every sign escaped': (text) => text.replaceAll(/./gs, (sign) => `%${hexOf(sign)}`),
  JSON: (text) => JSON.stringify({ text }),
  'JSON in JSON': (text) => JSON.stringify({ text: JSON.stringify({ text }) }),
  'JSON as PHP writes it': (text) => JSON.stringify({ text }).replaceAll('/', '\\/'),
  'JSON as Go writes it': (text) => escaped(text, /[<>&]/g),
  'JSON as Gson writes it': (text) => escaped(text, /[<>&=']/g),
  'JSON as .NET writes it': (text) =>
    escaped(text, /[<>&+'"`]/g).replaceAll(
      /\\u00../g,
      (sign) => `\\u${sign.slice(2).toUpperCase()}`,
    ),
  HTML: (text) => text.replaceAll('&', '&amp;').replaceAll('>', '&gt;').replaceAll('<', '&lt;'),
  'HTML by numbers': (text) => text.replaceAll(/[&<>"'`=/+]/g, (sign) => `&#x${hexOf(sign)};`),
} as const satisfies Record<string, Reflect>;

/** All of them, one a line. */
export function reflectAll(text: string): string {
  return Object.entries(REFLECTIONS)
    .map(([name, reflect]) => `${name}: ${reflect(text)}\n`)
    .join('');
}

function escaped(text: string, signs: RegExp): string {
  return JSON.stringify({ text }).replaceAll(signs, (sign) =>
    sign === '"' ? sign : `\\u00${hexOf(sign).toLowerCase()}`,
  );
}

function hexOf(sign: string): string {
  return Buffer.from(sign).toString('hex').toUpperCase();
}
