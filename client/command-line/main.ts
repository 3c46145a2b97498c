import { basename } from 'node:path';
import { EXIT, wordsOf } from './failure.ts';
import { runCommandLine } from './run-command-line.ts';

const INVOKED_AS = { 'temporal-agent': 'temporal agent' } as const;

/** The name a person typed. */
function invokedName(): string {
  const name = basename(process.argv[1] ?? '').replace(/\.[jt]s$/, '');
  return name === 'temporal-agent' ? INVOKED_AS[name] : 'drover';
}

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (interruption.signal.aborted) process.exit(EXIT.interrupted);
    interruption.abort();
  });
}
let readerGone = false;
process.stdout.on('error', () => {
  readerGone = true;
  interruption.abort();
});

runCommandLine(process.argv.slice(2), invokedName(), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interruption.signal,
}).then(
  // A reader that has enough, such as head, is no failure.
  (code) => process.exit(readerGone ? EXIT.ok : code),
  (error: unknown) => {
    process.stderr.write(`error: ${wordsOf(error)}\n`);
    process.exit(EXIT.failed);
  },
);
