import { leastBeginning, WRITTEN_FORMS } from '../../vault/written-forms.ts';

/** Takes secret values out of whatever a server sends back: it may echo what it was sent. */
export interface Redactor {
  add(secret: string): void;
  /** The text without the secrets, however they are written, at any place of it. */
  redact(text: string): string;
  /** JSON, all of whose texts are without them. */
  redactJson(value: unknown): unknown;
}

const SHOWN = '[secret]';
/** Less is no secret, and would be found everywhere. */
const MIN_LENGTH = 4;
/** The shortest form that is taken for one. */
const MIN_FORM_LENGTH = 6;
/** What is nested deeper costs whoever reads it its stack. */
const MAX_DEPTH = 1_000;
const TOO_DEEP = '[nested too deeply to be shown]';

export function createRedactor(): Redactor {
  const secrets = new Set<string>();
  let forms: readonly string[] = [];
  const redact = (text: string): string =>
    withoutBeginnings(
      forms.reduce((clean, form) => clean.replaceAll(form, SHOWN), text),
      forms,
    );
  const redactJson = (value: unknown, depth = 0): unknown => {
    if (typeof value === 'string') return redact(value);
    if (typeof value !== 'object' || value === null) return value;
    if (depth === MAX_DEPTH) return TOO_DEEP;
    if (Array.isArray(value)) return value.map((one) => redactJson(one, depth + 1));
    const redacted = Object.entries(value).map(([name, one]): [string, unknown] => [
      redact(name),
      redactJson(one, depth + 1),
    ]);
    return Object.fromEntries(redacted);
  };
  return {
    add(secret) {
      if (secret.length < MIN_LENGTH || secrets.has(secret)) return;
      secrets.add(secret);
      // Longest first: a shorter one may be part of it.
      const all = new Set([...secrets].flatMap(formsOf));
      forms = [...all].sort((a, b) => b.length - a.length);
    },
    redact,
    redactJson: (value) => redactJson(value),
  };
}

/** Takes out what begins a form and was cut, when half of it or more is there. */
function withoutBeginnings(text: string, forms: readonly string[]): string {
  const cut = forms.flatMap((form) => {
    const least = leastBeginning(form);
    return least === undefined ? [] : [{ form, least }];
  });
  const next = cut.map(({ least }) => text.indexOf(least));
  let clean = '';
  let covered = 0;
  for (;;) {
    const start = Math.min(...next.filter((index) => index >= 0));
    if (start === Number.POSITIVE_INFINITY) return clean + text.slice(covered);
    // One that begins within another is taken out with it.
    if (start >= covered) clean += `${text.slice(covered, start)}${SHOWN}`;
    const lengths = cut.map(({ form }) => beginningOf(form, text, start));
    covered = Math.max(covered, start + Math.max(...lengths));
    for (const [which, { least }] of cut.entries()) {
      if (next[which] === start) next[which] = text.indexOf(least, start + 1);
    }
  }
}

/** How much of a form stands there, in characters. */
function beginningOf(form: string, text: string, start: number): number {
  let length = 0;
  while (length < form.length && form[length] === text[start + length]) length += 1;
  return length;
}

function formsOf(secret: string): string[] {
  const others = WRITTEN_FORMS.map((write) => write(secret));
  return [secret, ...others.filter(({ length }) => length >= MIN_FORM_LENGTH)];
}
