import type { Command } from 'commander';
import { connectDrover, type Drover } from '../connect-drover.ts';
import type { Output } from './event-printer.ts';
import { codeOf, EXIT, wordsOf } from './failure.ts';
import { storeUrl } from './store-url.ts';

export interface GlobalOptions {
  readonly address?: string;
  readonly namespace?: string;
  readonly profile?: string;
  readonly taskQueue?: string;
  readonly output: 'text' | 'json';
}

export interface Streams {
  readonly stdin: AsyncIterable<Buffer | string>;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Aborts on Ctrl-C, or when nobody reads the output any more. */
  readonly signal: AbortSignal;
}

/** What a command works with that asks no Temporal server. */
export interface LocalContext extends Streams {
  readonly json: boolean;
  /** Prints a result: as JSON, or as the words given. */
  result(value: unknown, words: string): void;
}

/** What a command works with. */
export interface CommandContext extends LocalContext {
  readonly drover: Drover;
}

/** Gives a command what it does; `Args` are its arguments as declared. Returns the exit code. */
export type RegisterWith<Context> = <Args extends readonly unknown[], Options>(
  command: Command,
  run: (context: Context, args: Args, options: Options) => Promise<number>,
) => void;
export type Register = RegisterWith<CommandContext>;
export type RegisterLocal = RegisterWith<LocalContext>;

/** Runs a command connected, and ends its connection. */
export function runCommand(
  command: Command,
  streams: Streams,
  run: (context: CommandContext) => Promise<number>,
): Promise<number> {
  return runLocalCommand(command, streams, async (context) => {
    const options = command.optsWithGlobals<GlobalOptions>();
    const drover = await connectDrover({ ...options, store: storeUrl() });
    try {
      return await run({ ...context, drover });
    } finally {
      await drover.close();
    }
  });
}

/** Runs a command, and turns what it throws into one line. */
export async function runLocalCommand(
  command: Command,
  streams: Streams,
  run: (context: LocalContext) => Promise<number>,
): Promise<number> {
  const json = command.optsWithGlobals<GlobalOptions>().output === 'json';
  try {
    return await run({
      ...streams,
      json,
      result: (value, words) =>
        streams.stdout.write(`${json ? JSON.stringify(value, null, 2) : words}\n`),
    });
  } catch (error) {
    if (streams.signal.aborted) return EXIT.interrupted;
    const message = wordsOf(error);
    streams.stderr.write(
      json
        ? `${JSON.stringify({ error: { code: codeOf(error), message } })}\n`
        : `error: ${message}\n`,
    );
    return EXIT.failed;
  }
}
