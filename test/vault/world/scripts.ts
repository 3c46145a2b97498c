import type { Player, RehearsalBlock, RehearsalRequest } from '../../../rehearsal/player.ts';
import { fromConversation, says } from '../../../rehearsal/script.ts';

/** What the model does, by the first word that a person says. */
export interface Scripts {
  readonly player: Player;
  /** @param steps Tool uses of one answer each; the model is done after the last. */
  set(name: string, steps: readonly (readonly RehearsalBlock[])[]): void;
}

export function createScripts(): Scripts {
  const scripts = new Map<string, readonly (readonly RehearsalBlock[])[]>();
  return {
    player: fromConversation(({ messages }) => {
      const steps = scripts.get(firstWord(messages)) ?? [];
      const step = steps[messages.filter(({ role }) => role === 'assistant').length];
      return says(step ?? 'done');
    }),
    set: (name, steps) => void scripts.set(name, steps),
  };
}

function firstWord(messages: RehearsalRequest['messages']): string {
  const content = messages[0]?.content ?? '';
  const text = typeof content === 'string' ? content : content.find(({ type }) => type === 'text');
  const words = typeof text === 'string' ? text : text?.type === 'text' ? text.text : '';
  return words.split(/\s/)[0] ?? '';
}
