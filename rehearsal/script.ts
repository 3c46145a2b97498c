import type {
  MessageTurn,
  Pace,
  Player,
  RehearsalBlock,
  RehearsalRequest,
  Turn,
} from './player.ts';

/** Plays the turns in order, whoever asks. @throws in words when the script runs dry */
export function scripted(turns: readonly Turn[]): Player {
  let next = 0;
  return () => {
    const turn = turns[next];
    next += 1;
    if (turn === undefined) {
      throw new Error(`the script has ${turns.length} turns, and was asked for turn ${next}`);
    }
    return turn;
  };
}

/** Plays what the conversation calls for, the same however often it is asked. */
export function fromConversation(decide: (request: RehearsalRequest) => Turn): Player {
  return (request) => decide(request);
}

/** A turn of these blocks; a string is one text block. */
export function says(
  content: string | readonly RehearsalBlock[],
  options: Omit<MessageTurn, 'type' | 'content'> = {},
): MessageTurn {
  const blocks = typeof content === 'string' ? [text(content)] : content;
  return { type: 'message', content: blocks, ...options };
}

export function text(words: string): RehearsalBlock {
  return { type: 'text', text: words };
}

export function calls(
  name: string,
  input: Readonly<Record<string, unknown>>,
  id?: string,
): RehearsalBlock {
  return { type: 'tool_use', ...(id === undefined ? {} : { id }), name, input };
}

/** Waits so long before each event. */
export function everyMs(delayMs: number): Pace {
  return () => new Promise((resolve) => setTimeout(resolve, delayMs));
}

export interface Gate {
  readonly pace: Pace;
  /** Resolves when the stream has come to the held event. */
  readonly reached: Promise<void>;
  open(): void;
}

/** Holds a stream before the event of this index until it is opened. */
export function gate(eventIndex: number): Gate {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    open: () => opened.resolve(),
    pace: async ({ index }) => {
      if (index !== eventIndex) return;
      reached.resolve();
      await opened.promise;
    },
  };
}
