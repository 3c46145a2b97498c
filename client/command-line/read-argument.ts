import { readFile } from 'node:fs/promises';
import { InvalidArgumentError } from 'commander';
import { InvalidInputError } from '../errors/invalid-input-error.ts';
import { wordsOf } from './failure.ts';

/** A definition as typed: JSON, `@file` that holds JSON, or (where allowed) the id of a registered one. */
export async function readDefinition(text: string, name: string): Promise<unknown> {
  const source = text.startsWith('@') ? await readSource(text.slice(1), name) : text;
  const isJson = text.startsWith('@') || /^\s*[{[]/.test(text);
  return isJson ? parseJson(source, name) : text;
}

export function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidInputError(`${name}: not JSON (${wordsOf(error)}); quote it for the shell`);
  }
}

/** Words of the command line, or standard input where they are a single `-`. */
export async function readText(
  words: readonly string[],
  stdin: AsyncIterable<Buffer | string>,
): Promise<string> {
  if (words.length !== 1 || words[0] !== '-') return words.join(' ');
  let text = '';
  for await (const chunk of stdin) text += chunk.toString();
  return text.trimEnd();
}

async function readSource(path: string, name: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new InvalidInputError(`${name}: ${path} cannot be read (${wordsOf(error)})`);
  }
}

export function toCount(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new InvalidArgumentError('give a whole number above 0.');
}

/** `key=value` as typed, several times. */
export function readPairs(pairs: readonly string[], name: string): Record<string, string> {
  const entries = pairs.map((pair) => {
    const at = pair.indexOf('=');
    if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)] as const;
    throw new InvalidInputError(`${name}: give key=value`);
  });
  return Object.fromEntries(entries);
}
