/** Takes secret values out of whatever a server sends back: it may echo what it was sent. */
export interface Redactor {
  add(secret: string): void;
  /** The text without the secrets, as they are, URL-encoded or in base64, at any place of it. */
  redact(text: string): string;
}

const SHOWN = '[secret]';
/** Less is no secret, and would be found everywhere. */
const MIN_LENGTH = 4;
/** The shortest run of base64 that is taken for one. */
const MIN_ENCODED_LENGTH = 6;

export function createRedactor(): Redactor {
  const secrets = new Set<string>();
  let spellings: readonly string[] = [];
  return {
    add(secret) {
      if (secret.length < MIN_LENGTH || secrets.has(secret)) return;
      secrets.add(secret);
      // Longest first: a shorter one may be part of it.
      const all = new Set([...secrets].flatMap(spellingsOf));
      spellings = [...all].sort((a, b) => b.length - a.length);
    },
    redact(text) {
      let clean = text;
      for (const spelling of spellings) clean = clean.replaceAll(spelling, SHOWN);
      return clean;
    },
  };
}

function spellingsOf(secret: string): string[] {
  const encoded = encodeURIComponent(secret);
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encoded,
    encoded.replaceAll(/%[0-9A-F]{2}/g, (byte) => byte.toLowerCase()),
    Buffer.from(secret).toString('hex'),
    ...base64Spellings(secret),
  ];
}

/**
 * Base64 packs three bytes into four characters, so that a secret within something longer has one
 * of three spellings, but for the characters at its ends, which its neighbours have a part in.
 */
function base64Spellings(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [0, 1, 2].flatMap((offset) => {
    const padded = Buffer.concat([Buffer.alloc(offset), bytes]);
    const whole = padded.toString('base64').replace(/=+$/, '');
    const start = Math.ceil((offset * 8) / 6);
    const end = Math.floor((padded.length * 8) / 6);
    const certain = whole.slice(start, end);
    if (certain.length < MIN_ENCODED_LENGTH) return [];
    return [certain, certain.replaceAll('+', '-').replaceAll('/', '_')];
  });
}
