import { readConversation } from './conversation.ts';
import type { Player } from './player.ts';
import { calls, says, text } from './script.ts';

const PROMPT = '$ ';

/**
 * Runs the commands of a task whose every line begins with `$ `, one after the other, and gives back
 * what the last one said. Anything else is left to `otherwise`.
 */
export function commandTask(otherwise: Player): Player {
  return (request, context) => {
    const { task, exchanges } = readConversation(request);
    const lines = task.split('\n');
    if (!lines.every((line) => line.startsWith(PROMPT))) return otherwise(request, context);
    const next = lines[exchanges.length]?.slice(PROMPT.length);
    if (next !== undefined) return says([calls('bash', { command: next })]);
    return says([text(`(A rehearsal: a script.) ${exchanges.at(-1)?.output ?? ''}`)]);
  };
}
