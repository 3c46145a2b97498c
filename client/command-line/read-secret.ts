import { readFile } from 'node:fs/promises';
import { InvalidInputError } from '../errors/invalid-input-error.ts';
import type { Streams } from './command-context.ts';

/** A value as a file or a pipe gives it, never an argument: others could read that. */
export async function readSecret(
  path: string | undefined,
  stdin: Streams['stdin'],
): Promise<string> {
  if (path !== undefined) {
    return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new InvalidInputError(`--value-file: ${path} cannot be read (${error.code})`);
    });
  }
  if ('isTTY' in stdin && stdin.isTTY === true) {
    throw new InvalidInputError(
      'pass the value by standard input, so that no terminal shows it, or name --value-file',
    );
  }
  let text = '';
  for await (const chunk of stdin) text += chunk.toString();
  return text;
}
