import { readFile } from 'node:fs/promises';
import { runProgram } from './run-program.ts';

const TIMEOUT_MS = 5_000;

/** Command line of a process; empty when it cannot be read. */
export async function processArguments(pid: number): Promise<string> {
  const fromProc = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
  if (fromProc !== undefined) return fromProc.replaceAll('\0', ' ');
  const args = ['-ww', '-o', 'args=', '-p', String(pid)];
  return (await runProgram('ps', args, { timeoutMs: TIMEOUT_MS })).output;
}
