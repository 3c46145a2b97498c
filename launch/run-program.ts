import { execFile } from 'node:child_process';

export interface ProgramResult {
  /** Null when the program could not be started or did not end by itself. */
  readonly exitCode: number | null;
  readonly output: string;
  /** Why it failed, in words; null when it exited with 0. */
  readonly failure: string | null;
}

const MAX_OUTPUT_BYTES = 1_000_000;

/** Runs a program to its end, at most `timeoutMs`. Never throws. */
export function runProgram(
  program: string,
  args: readonly string[],
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<ProgramResult> {
  const options = {
    timeout: timeoutMs,
    maxBuffer: MAX_OUTPUT_BYTES,
    killSignal: 'SIGKILL',
  } as const;
  return new Promise((resolve) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve({ exitCode: 0, output: stdout, failure: null });
      const exitCode = typeof error.code === 'number' ? error.code : null;
      const words = error.killed ? `no answer within ${timeoutMs / 1_000} s` : lastLine(stderr);
      resolve({ exitCode, output: stdout, failure: words ?? String(error.code ?? error.message) });
    });
  });
}

function lastLine(text: string): string | undefined {
  return text
    .split('\n')
    .map((line) => line.trim())
    .findLast((line) => line !== '');
}
