import { type ProgramEnd, type ProgramOptions, runProgram } from '../../hand/run-program.ts';
import { confined } from './confined.ts';

/** Runs a program as those of commands are run here. */
export async function runConfined(
  command: readonly [string, ...string[]],
  options: ProgramOptions,
): Promise<ProgramEnd> {
  const end = await runProgram(confined(command), options);
  const [program] = command;
  // As `confine` says it.
  const notFound = `confine: ${program}: No such file or directory`;
  if (end.type === 'exited' && !end.succeeded && end.said === notFound) return { type: 'missing' };
  return end;
}
