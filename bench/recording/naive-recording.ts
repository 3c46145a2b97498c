import type { NaiveActivities } from '../baseline/naive-loop.ts';
import { createTurnFinder } from './place.ts';
import { continuesByItself } from './recorded-player.ts';
import { callsOf, type Recording, turnsOf } from './recording.ts';

/** A recording as the naive loop gets it: model, tools and user in one process. */
export function naiveRecording(recording: Recording): NaiveActivities {
  const findTurn = createTurnFinder(recording);
  const turns = turnsOf(recording);
  const goesOn = continuesByItself(recording);
  const inputs = recording.items.filter((item) => item.type === 'input');
  const results = new Map(
    turns.flatMap((turn) => turn.results).map((result) => [result.tool_use_id, result]),
  );
  return {
    nextInput: async (index) => inputs[index]?.texts ?? null,
    async respond(messages) {
      const turn = turns[findTurn({ messages }) ?? -1];
      if (turn === undefined) throw new Error(`${recording.name} has no turn for these messages`);
      const calls = callsOf(turn);
      const isComplete = turn.end === 'complete';
      return {
        content: turn.blocks,
        calls,
        goes_on: isComplete && (calls.length > 0 || goesOn.has(turn)),
      };
    },
    execute: async ({ id }) => ({
      type: 'tool_result',
      tool_use_id: id,
      content: results.get(id)?.texts.map((text) => ({ type: 'text', text })) ?? [],
    }),
  };
}
