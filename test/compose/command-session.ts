import type { Drover } from '../../client/index.ts';
import type { EnvironmentInput } from '../../protocol/environment.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';
import { waitFor } from '../support/wait-for.ts';

const IDLE_MS = 120_000;

/** What a command of a session came to. */
export interface CommandResult {
  readonly text: string;
  readonly isError: boolean;
}

/** A session whose rehearsal model runs these commands, one tool call each. */
export async function startCommands(
  drover: Drover,
  commands: readonly string[],
  environment?: EnvironmentInput,
): Promise<{ readonly id: string; finished(): Promise<readonly CommandResult[]> }> {
  const { id, event_ids } = await drover.sessions.create({
    initial_events: toTask(commands),
    ...(environment === undefined ? {} : { environment }),
  });
  return { id, finished: () => finish(drover, id, event_ids.at(-1) ?? '') };
}

export async function runCommands(
  drover: Drover,
  commands: readonly string[],
): Promise<readonly CommandResult[]> {
  const session = await startCommands(drover, commands);
  const results = await session.finished();
  await drover.sessions.archive(session.id);
  return results;
}

export async function sendCommands(
  drover: Drover,
  id: string,
  commands: readonly string[],
): Promise<readonly CommandResult[]> {
  const { event_ids } = await drover.sessions.send(id, toTask(commands));
  return finish(drover, id, event_ids.at(-1) ?? '');
}

/** When so many commands have their result. */
export async function untilResults(drover: Drover, id: string, count: number): Promise<void> {
  await waitFor(
    `${count} results of ${id}`,
    async () => resultsOf(await drover.sessions.events(id)).length >= count,
    IDLE_MS,
  );
}

/** What each call of a session came to, those of MCP servers too. */
export async function allResults(drover: Drover, id: string): Promise<readonly string[]> {
  return (await drover.sessions.events(id)).flatMap((event) =>
    event.type === 'agent.tool_result' || event.type === 'agent.mcp_tool_result'
      ? [(event.content ?? []).map((part) => (part.type === 'text' ? part.text : '')).join('')]
      : [],
  );
}

/** By its title a server that was away is no error: it is asked again. */
async function finish(
  drover: Drover,
  id: string,
  after: string,
): Promise<readonly CommandResult[]> {
  const idle = await drover.sessions.waitUntilIdle(id, { after, timeoutMs: IDLE_MS });
  if (idle.stop_reason.type !== 'end_turn') {
    throw new Error(`session ${id} stopped with ${idle.stop_reason.type}`);
  }
  const events = await drover.sessions.events(id);
  const start = events.findIndex((event) => event.id === after);
  return resultsOf(events.slice(start));
}

function resultsOf(events: readonly SessionEvent[]): readonly CommandResult[] {
  return events.flatMap((event) => {
    if (event.type !== 'agent.tool_result') return [];
    const text = (event.content ?? [])
      .map((part) => (part.type === 'text' ? part.text : ''))
      .join('');
    return [{ text, isError: event.is_error === true }];
  });
}

function toTask(commands: readonly string[]): string {
  return commands.map((command) => `$ ${command}`).join('\n');
}
