import { join } from 'node:path';
import { createEventPrinter, type Output } from '../client/command-line/event-printer.ts';
import { formatStopReason } from '../client/command-line/format-event.ts';
import { styleFor } from '../client/command-line/style.ts';
import { previewsFor, type WatchEnd, watchSession } from '../client/command-line/watch-session.ts';
import { assertNever } from '../protocol/assert-never.ts';
import { chooseSandbox } from './choose-sandbox.ts';
import { directions } from './directions.ts';
import { builtInMessage, hasModel } from './model.ts';
import { openPlatform, type Platform } from './platform.ts';
import type { StartOptions } from './start-options.ts';
import { openStateFolder } from './state-folder.ts';
import { configuredServer } from './target.ts';
import { untilAborted } from './until-aborted.ts';

export interface StartContext {
  readonly variables: NodeJS.ProcessEnv;
  readonly output: Output;
  /** Aborted by the person who started it; everything is then ended in order. */
  readonly signal: AbortSignal;
}

const MAX_LISTED = 5;

/** Runs one session on a platform of its own, or on the one that runs already. Returns the exit code. */
export async function start(options: StartOptions, context: StartContext): Promise<number> {
  const { variables, output } = context;
  const printer = createEventPrinter(output);
  const style = styleFor(output);
  const say = (line: string) => printer.line(style('dim', `drover: ${line}`));
  const lost = new AbortController();
  const signal = AbortSignal.any([context.signal, lost.signal]);

  const closing = new AsyncDisposableStack();
  try {
    const sandbox = await chooseSandbox(variables['DROVER_SANDBOX'], !hasModel(variables));
    // A Ctrl-C ends the programs that the choice asks too: what it says then is worth nothing.
    signal.throwIfAborted();
    const folder = await openStateFolder(variables['DROVER_STATE_FOLDER']);
    const state = sandbox.onlyRehearsal
      ? await openStateFolder(join(folder.path, 'rehearsal'))
      : folder;
    const platform = await openPlatform(
      {
        variables,
        state,
        sandbox,
        configured: configuredServer(),
        say,
        onLost: (error) => lost.abort(error),
        signal,
      },
      closing,
    );
    signal.throwIfAborted();
    await listRunning(platform, say);
    const { id } = await platform.drover.sessions.create(
      options.task ?? builtInMessage(platform.rehearsal),
    );
    for (const line of directions(platform, id, options)) printer.line(line);
    const watched = { printer, previews: previewsFor(output), untilIdle: options.once, signal };
    const end = await watchSession(platform.drover, id, watched);
    if (!options.once) await untilAborted(signal);
    return exitCode(end, options, say);
  } catch (error) {
    if (lost.signal.aborted) throw lost.signal.reason;
    if (!context.signal.aborted) throw error;
    return INTERRUPTED;
  } finally {
    if (context.signal.aborted)
      say('stopping; sessions are kept, and the next start goes on with them');
    await closing.disposeAsync();
  }
}

const INTERRUPTED = 130;

async function listRunning({ drover }: Platform, say: (line: string) => void): Promise<void> {
  const running = await drover.sessions.list({ status: 'running', limit: MAX_LISTED + 1 });
  for (const { id, title } of running.slice(0, MAX_LISTED)) {
    say(`an earlier session goes on: ${id}${title === null ? '' : ` (${title})`}`);
  }
  if (running.length > MAX_LISTED) say('and more: npx drover list');
}

function exitCode(end: WatchEnd, options: StartOptions, say: (line: string) => void): number {
  if (!options.once) return 0;
  switch (end.type) {
    case 'idle':
      if (end.stopReason.type === 'end_turn') return 0;
      say(`the session stopped before its turn ended: ${formatStopReason(end.stopReason)}`);
      return 1;
    case 'terminated':
      say(`the session ended before its turn did${end.reason === null ? '' : `: ${end.reason}`}`);
      return 1;
    case 'aborted':
      return INTERRUPTED;
    default:
      return assertNever(end);
  }
}
