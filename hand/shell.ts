import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';

/**
 * A bash that keeps its state (folder, variables, jobs) from command to command. Output goes to the
 * file descriptor it is given; the end of a command is told on a descriptor of its own, which
 * commands do not inherit: neither what they print nor what they do to their output can hide it.
 */
export interface Shell {
  readonly pid: number;
  /** How the shell ended, or undefined while it lives. */
  readonly ending: ShellEnding | undefined;
  /** Runs one command. One at a time. */
  run(command: string): Promise<CommandEnd>;
  kill(): void;
}

export type CommandEnd =
  | { readonly type: 'exited'; readonly code: number }
  | { readonly type: 'shell_ended'; readonly ending: ShellEnding };

export interface ShellEnding {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const CONTROL = 198;
const OUTPUT = 197;

export function startShell(options: {
  /** A bash, or the words that run one. */
  readonly program: readonly [string, ...string[]];
  readonly folder: string;
  /** Gets standard output and error. */
  readonly outputFile: number;
  /** Its whole environment. */
  readonly variables: NodeJS.ProcessEnv;
}): Shell {
  const { program, outputFile, variables } = options;
  const [first, ...words] = program;
  const child = spawn(first, [...words, '--noprofile', '--norc'], {
    cwd: options.folder,
    env: variables,
    stdio: ['pipe', outputFile, outputFile, 'pipe'],
    detached: true,
  });
  const input = child.stdio[0] as Writable;
  const control = child.stdio[3] as Readable;
  let ending: ShellEnding | undefined;
  let waiting: { readonly nonce: string; readonly resolve: (end: CommandEnd) => void } | undefined;

  const finish = (end: CommandEnd): void => {
    const resolve = waiting?.resolve;
    waiting = undefined;
    resolve?.(end);
  };
  const onEnd = (code: number | null, signal: NodeJS.Signals | null): void => {
    ending ??= { code, signal };
    finish({ type: 'shell_ended', ending });
  };
  child.once('exit', onEnd);
  child.once('error', () => onEnd(null, null));
  // The shell can be gone before what is written to it arrives; its exit tells.
  input.on('error', () => {});

  let told = '';
  control.on('data', (chunk: Buffer) => {
    told += chunk.toString('latin1');
    const lines = told.split('\n');
    told = lines.pop() ?? '';
    for (const line of lines) {
      const [nonce, code] = line.split(' ');
      if (nonce === waiting?.nonce) finish({ type: 'exited', code: Number(code) });
    }
  });

  input.write(`exec ${CONTROL}>&3 ${OUTPUT}>&1 3>&-\n`);
  return {
    pid: child.pid ?? -1,
    get ending() {
      return ending;
    },
    run(command) {
      if (ending !== undefined) return Promise.resolve({ type: 'shell_ended', ending });
      return new Promise((resolve) => {
        const nonce = randomUUID();
        waiting = { nonce, resolve };
        input.write(scriptFor(command, nonce));
      });
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

/**
 * `eval` of a quoted text, so that a command with a syntax error cannot swallow what follows it; and
 * redirections of its own, so that one that closes its output leaves the shell's alone.
 */
function scriptFor(command: string, nonce: string): string {
  const quoted = `'${command.replaceAll("'", `'\\''`)}'`;
  const streams = `</dev/null >&${OUTPUT} 2>&1 ${OUTPUT}>&- ${CONTROL}>&-`;
  const report = `{ builtin printf '%s %d\\n' ${nonce} $? >&${CONTROL}; } 2>/dev/null`;
  return `builtin eval ${quoted} ${streams}; ${report}\n`;
}
