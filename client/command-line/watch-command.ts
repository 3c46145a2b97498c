import type { CommandContext } from './command-context.ts';
import { createEventPrinter } from './event-printer.ts';
import { EXIT } from './failure.ts';
import { formatStopReason } from './format-event.ts';
import { createJsonPrinter } from './json-printer.ts';
import { previewsFor, watchSession } from './watch-session.ts';

/**
 * Prints the log of a session, as far as asked. Returns the exit code: where it stops at an idle, 0
 * only when the turn ended.
 */
export async function watchCommand(
  context: CommandContext,
  id: string,
  options: { readonly after?: string; readonly untilIdle: boolean },
): Promise<number> {
  const { drover, json, stdout, stderr, signal } = context;
  const end = await watchSession(drover, id, {
    ...options,
    printer: json ? createJsonPrinter(stdout) : createEventPrinter(stdout),
    previews: json ? 'none' : previewsFor(stdout),
    signal,
  });
  if (end.type === 'aborted') return EXIT.interrupted;
  if (end.type === 'terminated' || end.stopReason.type === 'end_turn') {
    return end.type === 'terminated' && options.untilIdle ? EXIT.failed : EXIT.ok;
  }
  if (!json) stderr.write(`stopped before the turn ended: ${formatStopReason(end.stopReason)}\n`);
  return EXIT.failed;
}
