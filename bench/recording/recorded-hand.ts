import { ApplicationFailure } from '@temporalio/common';
import type { HandActivities } from '../../protocol/hand.ts';
import { type Recording, turnsOf } from './recording.ts';

/**
 * A hand of its own kind, behind the port that every hand has: it runs nothing and answers each
 * call with what the record says.
 */
export function createRecordedHandActivities(recording: Recording): HandActivities {
  const results = new Map(
    turnsOf(recording)
      .flatMap((turn) => turn.results)
      .map((result) => [result.tool_use_id, result]),
  );
  return {
    provision: async ({ hand }) => ({
      hand: { ...hand, provider: 'recorded', instance: `${recording.name}-${hand.generation}` },
    }),
    async execute({ call }) {
      const result = results.get(call.id);
      if (result === undefined) {
        throw ApplicationFailure.nonRetryable(`${recording.name} has no result of call ${call.id}`);
      }
      return {
        events: [
          {
            type: 'agent.tool_result',
            tool_use_id: call.id,
            content: result.texts.map((text) => ({ type: 'text', text })),
            ...(result.is_error ? { is_error: true } : {}),
          },
        ],
      };
    },
    release: async () => {},
  };
}
