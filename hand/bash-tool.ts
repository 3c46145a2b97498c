import { mkdirSync } from 'node:fs';
import { type BashInput, readBashInput } from './bash-input.ts';
import { describeEnd, describeEnding, type End, isOwnExit } from './command-end.ts';
import { endProcesses } from './end-processes.ts';
import type { HandProcesses } from './hand-processes.ts';
import { OUTCOME } from './outcome.ts';
import { createOutputLog, type OutputLog } from './output-log.ts';
import type { OutputPipe } from './output-pipe.ts';
import { makeOutputRoom, type OutputRoom } from './output-room.ts';
import { type ProcessSnapshot, snapshotProcesses } from './processes.ts';
import { type Shell, startShell } from './shell.ts';
import type { HandTool, RunningCall } from './tool.ts';
import type { CallResult } from './wire.ts';

const PROGRESS_MS = 200;
const GRACE_MS = 300;

export interface BashToolOptions {
  /** The bash that runs commands, or the words that run it. */
  readonly program: readonly [string, ...string[]];
  readonly folder: string;
  /** Where the output of each call is written. */
  readonly outputFolder: string;
  /** Default: as much as its disk takes. */
  readonly outputRoom?: OutputRoom;
  readonly pipe: OutputPipe;
  readonly processes: HandProcesses;
  /** Environment of its shells. */
  readonly variables: NodeJS.ProcessEnv;
  /** The shell that it begins with, started as its own are. Default: it starts one. */
  readonly firstShell?: Shell;
}

/**
 * The SDK's bash tool (its schema and its words) with what that one lacks: output on disk from the
 * first byte, progress, and a kill that reaches every descendant. Calls wait for one another.
 */
export function createBashTool(options: BashToolOptions): HandTool {
  const bash = new Bash(options);
  let last: Promise<unknown> = Promise.resolve();
  return {
    hasEffects: true,
    run(input, call) {
      const checked = readBashInput(input);
      if (typeof checked === 'string') return Promise.resolve(failed(checked));
      const result = last.then(() => {
        if (call.signal.aborted) return OUTCOME.cancelled;
        call.onStart();
        return bash.run(checked, call);
      });
      last = result.catch(() => {});
      return result;
    },
  };
}

class Bash {
  readonly #options: BashToolOptions;
  #shell: Shell;
  /** Why the present shell is not the one the model knows; told with the next result. */
  #restartedBecause: string | undefined;

  constructor(options: BashToolOptions) {
    this.#options = options;
    this.#shell = options.firstShell ?? this.#start();
  }

  async run(input: BashInput, call: RunningCall): Promise<CallResult> {
    const { ending } = this.#shell;
    if (ending !== undefined) this.#restart(`it had ended (${describeEnding(ending)})`);
    if (input.restart) {
      this.#shell.kill();
      await endProcesses(this.#options.processes.all, { graceMs: GRACE_MS });
      this.#restart(undefined);
    }
    if (input.command !== undefined) {
      const notice = this.#takeNotice();
      const result = await this.#runCommand(input.command, input.timeoutMs, call);
      return notice === undefined ? result : { ...result, text: `${notice}\n${result.text}` };
    }
    if (input.restart) return { text: 'bash session restarted', is_error: false };
    return failed('bash: command is required');
  }

  async #runCommand(command: string, timeoutMs: number, call: RunningCall): Promise<CallResult> {
    const { outputFolder, outputRoom, pipe } = this.#options;
    const path = `${outputFolder}/${fileNameFor(call.id)}.txt`;
    if (outputRoom !== undefined) makeOutputRoom(outputFolder, outputRoom);
    const log = createOutputLog(path, outputRoom?.maxFileBytes);
    const before = snapshotProcesses();
    pipe.capture(log.append);
    const stopProgress = reportProgress(log, call);
    const end = await this.#race(command, timeoutMs, call.signal);
    const isKilled = end.type !== 'exited' && !isOwnExit(end);
    const left = isKilled ? await this.#endCommand(before) : [];
    pipe.release();
    stopProgress();
    return this.#toResult(end, log, { timeoutMs, left });
  }

  /** The clock starts here: time spent in the queue does not count. */
  async #race(command: string, timeoutMs: number, signal: AbortSignal): Promise<End> {
    let timer: NodeJS.Timeout | undefined;
    let onAbort: (() => void) | undefined;
    try {
      return await Promise.race<End>([
        this.#shell.run(command),
        new Promise((resolve) => {
          timer = setTimeout(() => resolve({ type: 'timed_out' }), timeoutMs);
        }),
        new Promise((resolve) => {
          onAbort = () => resolve({ type: 'interrupted' });
          signal.addEventListener('abort', onAbort, { once: true });
        }),
      ]);
    } finally {
      clearTimeout(timer);
      if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
    }
  }

  /** The shell goes first, so that it does not go on to what follows the process that is ended. */
  async #endCommand(before: ProcessSnapshot): Promise<readonly number[]> {
    const { processes } = this.#options;
    const { pid } = this.#shell;
    this.#shell.kill();
    return endProcesses(() => processes.startedSince(before, pid), { graceMs: GRACE_MS });
  }

  #toResult(
    end: End,
    log: OutputLog,
    facts: { readonly timeoutMs: number; readonly left: readonly number[] },
  ): CallResult {
    const { text, notice } = log.finish();
    const output = notice === undefined ? text : `${notice}\n${text}`;
    if (end.type === 'exited') {
      if (end.code === 0) return { text: output, is_error: false };
      return failed(output === '' ? `exit ${end.code}` : output);
    }
    const { headline, cause } = describeEnd(end, facts.timeoutMs);
    this.#restart(cause);
    const stuck = facts.left.length > 0 ? `\nProcesses that could not be ended: ${facts.left}` : '';
    return failed(`${headline}${stuck}${output === '' ? '' : `\nOutput until then:\n${output}`}`);
  }

  #takeNotice(): string | undefined {
    const because = this.#restartedBecause;
    this.#restartedBecause = undefined;
    if (because === undefined) return undefined;
    return `[the shell was restarted, because ${because}; its folder and variables are as at first]`;
  }

  #restart(because: string | undefined): void {
    this.#shell.kill();
    this.#shell = this.#start();
    this.#restartedBecause = because;
  }

  #start(): Shell {
    const { program, folder, pipe, variables } = this.#options;
    mkdirSync(folder, { recursive: true });
    return startShell({ program, folder, outputFile: pipe.writeEnd, variables });
  }
}

/** Tells a watcher what is new, a few times a second. */
function reportProgress(log: OutputLog, call: RunningCall): () => void {
  let reported = 0;
  const timer = setInterval(() => {
    if (log.bytes === reported) return;
    reported = log.bytes;
    call.onProgress({ tail: log.tail(), output_bytes: log.bytes });
  }, PROGRESS_MS);
  return () => clearInterval(timer);
}

/** A file name that no tool use id can turn into a path. */
function fileNameFor(callId: string): string {
  return callId.replaceAll(/[^a-zA-Z0-9_-]/g, '_').slice(0, 100);
}

function failed(text: string): CallResult {
  return { text, is_error: true };
}
