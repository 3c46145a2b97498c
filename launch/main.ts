import { start } from './start.ts';
import { readStartOptions, USAGE } from './start-options.ts';

const FAILED = 1;
const USAGE_ERROR = 2;
const INTERRUPTED = 130;

async function main(): Promise<number> {
  let options: ReturnType<typeof readStartOptions>;
  try {
    options = readStartOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`drover: ${wordsOf(error)}`);
    return USAGE_ERROR;
  }
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  return start(options, {
    variables: process.env,
    output: process.stdout,
    signal: interruption(),
  });
}

/** Aborts on the first signal; the second one ends the process at once. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    controller.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  // Whoever read the output has gone: `npm start | head`.
  process.stdout.on('error', () => controller.abort());
  return controller.signal;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(`drover: ${wordsOf(error)}`);
    process.exit(FAILED);
  },
);
