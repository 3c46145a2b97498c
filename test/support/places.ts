import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

// Where something of a session may be kept or shown, as text to look for a word in.

/** All text in a value, bytes read as text. */
export function textOf(value: unknown, seen = new Set<unknown>()): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (typeof value !== 'object' || value === null) return String(value);
  if (seen.has(value)) return '';
  seen.add(value);
  return Object.entries(value)
    .map(([name, part]) => `${name}: ${textOf(part, seen)}`)
    .join('\n');
}

/** Every file of a folder by its path in it, as text. */
export function filesOf(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path.slice(folder.length + 1), readText(path)]),
  );
}

export function findFile(folder: string, name: string): string {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true });
  const entry = found.find((candidate) => candidate.name === name);
  if (entry === undefined) throw new Error(`no ${name} in ${folder}`);
  return join(entry.parentPath, entry.name);
}

export function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // A process that has ended, or a kernel's own.
    return '';
  }
}
