/** One way to write down a word. */
export interface Spelling {
  readonly encoding: string;
  readonly bytes: Buffer;
}

/**
 * Every way in which a word of lower-case letters, digits, dots and dashes may lie about as part of
 * something larger, but for the compressed ones. URLs, forms, JSON and HTML leave it as it is, unless
 * they escape every sign.
 */
export function spellingsOf(word: string): readonly Spelling[] {
  const bytes = Buffer.from(word);
  const hex = bytes.toString('hex');
  const texts: Record<string, string> = {
    plain: word,
    base64: base64Of(bytes, 0),
    'base64, one byte on': base64Of(bytes, 1),
    'base64, two bytes on': base64Of(bytes, 2),
    hex,
    'hex in upper case': hex.toUpperCase(),
    'signs escaped for a URL': hex.toUpperCase().replace(/../g, '%$&'),
    'signs escaped for a URL in lower case': hex.replace(/../g, '%$&'),
    'signs escaped for JSON': hex.replace(/../g, '\\u00$&'),
    'signs escaped for HTML': word.replace(/./g, (sign) => `&#${sign.charCodeAt(0)};`),
  };
  return [
    ...Object.entries(texts).map(([encoding, text]) => ({ encoding, bytes: Buffer.from(text) })),
    { encoding: 'UTF-16', bytes: Buffer.from(word, 'utf16le') },
  ];
}

/** The signs that stand for these bytes alone, when `before` others precede them: URLs' are the same. */
function base64Of(bytes: Buffer, before: number): string {
  const all = Buffer.concat([Buffer.alloc(before), bytes]);
  const first = Math.ceil((before * 8) / 6);
  return all.toString('base64').slice(first, Math.floor((all.length * 8) / 6));
}
