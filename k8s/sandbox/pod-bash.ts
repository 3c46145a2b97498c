import { accessSync, constants } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { createBashTool } from '../../hand/bash-tool.ts';
import type { HandProcesses } from '../../hand/hand-processes.ts';
import { createOutputPipe } from '../../hand/output-pipe.ts';
import { startShell } from '../../hand/shell.ts';
import type { HandTool } from '../../hand/tool.ts';
import { confined } from './confined.ts';
import { SANDBOX } from './layout.ts';

const MIB = 1024 * 1024;
/** A pod whose state outgrows its volume, of 1 GiB, is evicted. */
const OUTPUT_ROOM = { maxFileBytes: 512 * MIB, maxFolderBytes: 896 * MIB } as const;
const NO_SHELL =
  'bash: the image of this sandbox has no shell (no /bin/bash and no /bin/sh): no command can run ' +
  'in it. The file tools work. An image with a shell can be named in the environment (config.image).';

/**
 * Makes the bash tool of this image: with its own bash or, where it has another shell only, with the
 * one that came with the daemon. An image with no shell at all has nothing that a command could use.
 *
 * @param expected Environment of commands, should the configuration add nothing to it: a shell with
 *   it is started beforehand.
 * @returns a maker of the tool, prepared so far that a configuration costs no more than a shell.
 */
export function preparePodBash(
  processes: HandProcesses,
  expected: NodeJS.ProcessEnv,
): (variables: NodeJS.ProcessEnv) => HandTool {
  const program = findBash();
  if (program === undefined) return () => noShell;
  const pipe = createOutputPipe(
    `${SANDBOX.temporary}/.output-${process.pid}`,
    `${SANDBOX.tools}/mkfifo`,
  );
  const options = {
    program: confined([program]),
    folder: SANDBOX.workspace,
    outputFolder: SANDBOX.output,
    outputRoom: OUTPUT_ROOM,
    pipe,
    processes,
  };
  const firstShell = startShell({ ...options, outputFile: pipe.writeEnd, variables: expected });
  return (variables) => {
    if (isDeepStrictEqual(variables, expected)) {
      return createBashTool({ ...options, variables, firstShell });
    }
    firstShell.kill();
    return createBashTool({ ...options, variables });
  };
}

const noShell: HandTool = {
  hasEffects: false,
  run: async () => ({ text: NO_SHELL, is_error: true }),
};

function findBash(): string | undefined {
  if (isProgram('/bin/bash')) return '/bin/bash';
  return isProgram('/bin/sh') ? `${SANDBOX.tools}/bash` : undefined;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
