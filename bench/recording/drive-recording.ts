import type { Sessions } from '../../client/sessions.ts';
import type { AgentInput } from '../../protocol/agent.ts';
import type { EnvironmentInput } from '../../protocol/environment.ts';
import type { EventOfType } from '../../protocol/session-event.ts';
import type { UserEventInput } from '../../protocol/user-event.ts';
import { type RecordedInput, type Recording, turnsOf } from './recording.ts';

export interface DriveOptions {
  readonly sessionId: string;
  readonly agent: AgentInput;
  readonly environment: EnvironmentInput;
  readonly onInput: (index: number, count: number) => void;
}

/**
 * The user of a recording: opens the session with its first input, gives the next one whenever a
 * turn has ended, and answers the calls that are the client's. Resolves when all was said.
 */
export async function driveRecording(
  sessions: Sessions,
  recording: Recording,
  options: DriveOptions,
): Promise<void> {
  const { sessionId, agent, environment, onInput } = options;
  const inputs = recording.items.filter((item) => item.type === 'input').map(toEvents);
  const stop = new AbortController();
  let next = 1;
  onInput(0, inputs.length);
  await sessions.create({ agent, environment, initial_events: inputs[0] ?? [] }, { id: sessionId });
  const types = ['session.status_idle', 'session.status_terminated', 'session.error'] as const;
  for await (const event of sessions.tail(sessionId, { types, signal: stop.signal })) {
    if (event.type === 'session.error' && event.error.retry_status.type !== 'retrying') {
      throw new Error(`${recording.name}: ${event.error.message}`);
    }
    if (event.type === 'session.status_terminated') {
      throw new Error(`${recording.name}: the session ended: ${event.reason}`);
    }
    if (event.type !== 'session.status_idle') continue;
    const results = resultsFor(event, recording);
    const input = results ?? inputs[next];
    if (input === undefined) {
      stop.abort();
      break;
    }
    if (results === undefined) {
      onInput(next, inputs.length);
      next += 1;
    }
    await sessions.send(sessionId, input);
  }
}

function toEvents({ texts }: RecordedInput): UserEventInput[] {
  return texts.map((text) => ({ type: 'user.message', content: text }));
}

/** What the client owes when the session waits for it; undefined when a turn has ended. */
function resultsFor(
  idle: EventOfType<'session.status_idle'>,
  recording: Recording,
): UserEventInput[] | undefined {
  if (idle.stop_reason.type === 'end_turn') return undefined;
  if (idle.stop_reason.type !== 'requires_action') {
    throw new Error(`${recording.name}: the session is idle with ${idle.stop_reason.type}`);
  }
  const results = turnsOf(recording).flatMap((turn) => turn.results);
  return idle.stop_reason.event_ids.map((id) => {
    const result = results.find(({ tool_use_id }) => tool_use_id === id);
    if (result === undefined) throw new Error(`${recording.name} has no result of call ${id}`);
    return {
      type: 'user.custom_tool_result',
      custom_tool_use_id: id,
      content: result.texts.map((text) => ({ type: 'text' as const, text })),
      is_error: result.is_error,
    };
  });
}
