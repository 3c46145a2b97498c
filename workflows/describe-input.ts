const MAX_CHARACTERS = 300;

/**
 * The input of a tool as a person reads it, Markdown: what it is about (a command, a file, a
 * pattern) first and bare, the rest by name. Code of several lines stands in a block of its own.
 */
export function describeInput(input: Readonly<Record<string, unknown>>): string {
  const { main, rest } = split(input);
  const parts = rest.map(([name, value]) => `${name}: ${clip(oneLine(value))}`);
  if (main === undefined) return clip(parts.join(', '));
  const about = main.includes('\n') ? block(clip(main)) : code(clip(main));
  return parts.length === 0 ? about : `${about} ${clip(parts.join(', '))}`;
}

const SUBJECTS = ['command', 'file_path', 'path', 'pattern', 'query', 'url'];

function split(input: Readonly<Record<string, unknown>>) {
  const subject = SUBJECTS.find((name) => typeof input[name] === 'string');
  return {
    main: subject === undefined ? undefined : String(input[subject]),
    rest: Object.entries(input).filter(([name]) => name !== subject),
  };
}

function oneLine(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.replace(/\s+/g, ' ').trim();
}

function code(text: string): string {
  const fence = fenceFor(text, 1);
  // A fence must not touch a backtick of what it holds.
  return fence === '`' ? `\`${text}\`` : `${fence} ${text} ${fence}`;
}

function block(text: string): string {
  const fence = fenceFor(text, 3);
  return `\n${fence}\n${text}\n${fence}\n`;
}

/** Longer than any that the text holds. */
function fenceFor(text: string, atLeast: number): string {
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  return '`'.repeat(Math.max(atLeast, longest + 1));
}

function clip(text: string): string {
  if (text.length <= MAX_CHARACTERS) return text;
  return `${text.slice(0, MAX_CHARACTERS - 1).toWellFormed()}…`;
}
