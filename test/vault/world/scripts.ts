import type { Player, RehearsalBlock, RehearsalRequest, Turn } from '../../../rehearsal/player.ts';
import { calls, fromConversation, says } from '../../../rehearsal/script.ts';

/** What the model does, by what a person says first. */
export interface Scripts {
  readonly player: Player;
  /** @param steps Tool uses of one answer each; the model is done after the last. */
  set(name: string, steps: readonly (readonly RehearsalBlock[])[]): void;
}

/** Said by a person: the model runs what follows as a command, or calls a tool of that name. */
export const RUN = '$ ';
export const CALL = '@ ';

export function createScripts(): Scripts {
  const scripts = new Map<string, readonly (readonly RehearsalBlock[])[]>();
  return {
    player: fromConversation(({ messages }) => {
      const last = wordsOf(messages.at(-1));
      if (last?.startsWith(RUN)) return use('bash', { command: last.slice(RUN.length) });
      if (last?.startsWith(CALL)) return use(last.slice(CALL.length), {});
      const steps = scripts.get(wordsOf(messages[0]) ?? '') ?? [];
      const step = steps[messages.filter(({ role }) => role === 'assistant').length];
      return says(step ?? 'done');
    }),
    set: (name, steps) => void scripts.set(name, steps),
  };
}

function use(tool: string, input: Readonly<Record<string, unknown>>): Turn {
  return says([calls(tool, input)]);
}

/** Undefined for what is no text of a person. */
function wordsOf(message: RehearsalRequest['messages'][number] | undefined): string | undefined {
  const content = message?.content ?? [];
  if (typeof content === 'string') return content;
  const last = content.at(-1);
  return last?.type === 'text' ? last.text : undefined;
}
