import type { Client } from '@temporalio/client';
import type { LogReader } from '../../../log/log-reader.ts';
import { getSession, send } from '../../../protocol/messages.ts';
import type { SessionEvent } from '../../../protocol/session-event.ts';
import { waitFor } from '../../support/wait-for.ts';
import { CALL, RUN } from './scripts.ts';

const ANSWER_MS = 120_000;

/** How tests talk with sessions. */
export interface Talk {
  start(sessionId: string, input: object): Promise<void>;
  /** Waits until the session is idle, and gives its whole log. */
  untilIdle(sessionId: string): Promise<readonly SessionEvent[]>;
  /** Has the session's model run a command in hand `main`, and gives what that printed. */
  run(sessionId: string, command: string): Promise<string>;
  /** Has it call a tool, and gives the result. */
  call(sessionId: string, tool: string): Promise<string>;
  /** Results of all its calls. */
  results(sessionId: string): Promise<readonly string[]>;
}

export function createTalk(client: Client, log: LogReader): Talk {
  const untilIdle: Talk['untilIdle'] = async (sessionId) => {
    const isIdle = async (): Promise<boolean> => {
      const { status, stop_reason } = await client.workflow.getHandle(sessionId).query(getSession);
      return status === 'idle' && stop_reason !== null;
    };
    await waitFor(`${sessionId} to be idle`, isIdle, ANSWER_MS);
    return log.read(sessionId);
  };
  const say = async (sessionId: string, words: string): Promise<string> => {
    const told = await client.workflow.getHandle(sessionId).executeUpdate(send, { args: [words] });
    const [id] = told.event_ids;
    const answered = async (): Promise<readonly SessionEvent[] | false> => {
      const events = await untilIdle(sessionId);
      const since = events.slice(events.findIndex((event) => event.id === id));
      return since.some(({ type }) => type === 'session.status_idle') && since;
    };
    const since = await waitFor(`${sessionId} to answer`, answered, ANSWER_MS);
    return resultsIn(since).at(-1) ?? '';
  };
  return {
    async start(workflowId, input) {
      await client.workflow.start('session', { workflowId, taskQueue: 'drover', args: [input] });
    },
    untilIdle,
    run: (sessionId, command) => say(sessionId, `${RUN}${command}`),
    call: (sessionId, tool) => say(sessionId, `${CALL}${tool}`),
    results: async (sessionId) => resultsIn(await log.read(sessionId)),
  };
}

function resultsIn(events: readonly SessionEvent[]): readonly string[] {
  return events.flatMap((event) =>
    event.type === 'agent.tool_result' || event.type === 'agent.mcp_tool_result'
      ? [(event.content ?? []).map((block) => (block.type === 'text' ? block.text : '')).join('')]
      : [],
  );
}
