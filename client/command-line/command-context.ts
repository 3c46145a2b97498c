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

/** What a command works with. */
export interface CommandContext extends Streams {
  readonly drover: Drover;
  readonly json: boolean;
  /** Prints a result: as JSON, or as the words given. */
  result(value: unknown, words: string): void;
}

/** Gives a command what it does; `Args` are its arguments as declared. Returns the exit code. */
export type Register = <Args extends readonly unknown[], Options>(
  command: Command,
  run: (context: CommandContext, args: Args, options: Options) => Promise<number>,
) => void;

/** Runs a command connected, ends its connection, and turns what it throws into one line. */
export async function runCommand(
  command: Command,
  streams: Streams,
  run: (context: CommandContext) => Promise<number>,
): Promise<number> {
  const options = command.optsWithGlobals<GlobalOptions>();
  const json = options.output === 'json';
  let drover: Drover | undefined;
  try {
    drover = await connectDrover({ ...options, store: storeUrl() });
    return await run({
      ...streams,
      drover,
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
  } finally {
    await drover?.close();
  }
}
