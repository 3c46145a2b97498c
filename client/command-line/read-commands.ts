import { type Command, InvalidArgumentError } from 'commander';
import type { SessionResource } from '../../protocol/session.ts';
import type { SessionEventType } from '../../protocol/session-event.ts';
import type { SessionListing } from '../list-sessions.ts';
import type { SliceOptions } from '../sessions.ts';
import type { CommandContext, Register } from './command-context.ts';
import { EVENT_TYPES, isEventType } from './event-types.ts';
import { EXIT } from './failure.ts';
import { formatEvent, withoutControls } from './format-event.ts';
import { toCount } from './read-argument.ts';
import { styleFor } from './style.ts';
import { toTable } from './table.ts';
import { watchCommand } from './watch-command.ts';

/** Commands that read. They need a server, and no worker. */
export function addReadCommands(program: Command, register: Register): void {
  register(
    program
      .command('tail <session>')
      .description('print the log as it grows, until Ctrl-C; as JSON: one event per line')
      .option('--after <position>', 'start after this position')
      .option('--until-idle', 'stop at the first idle; exit 0 only at end_turn'),
    (context, [session]: [string], options: { after?: string; untilIdle?: boolean }) =>
      watchCommand(context, session, { ...options, untilIdle: options.untilIdle ?? false }),
  );
  register(
    program
      .command('events <session>')
      .description('print a slice of the log')
      .option('--after <position>', 'only events after this position')
      .option('--before <position>', 'only events before this position')
      .option('--desc', 'newest first')
      .option('--limit <count>', 'at most so many events', toCount)
      .option('--types <types>', 'only these, separated by commas', toTypes),
    printEvents,
  );
  register(
    program.command('get <session>').description('print a session as it stands'),
    async (context, [session]: [string]) => {
      const resource = await context.drover.sessions.get(session);
      context.result(resource, describe(resource));
      return EXIT.ok;
    },
  );
  register(
    program
      .command('list')
      .description('print the sessions, newest first')
      .option('--status <status>', 'running, idle or terminated', toStatus)
      .option('--agent <agent>', 'id of a registered agent, or the name of an inline one')
      .option('--limit <count>', 'at most so many sessions', toCount),
    async (context, _args: [], options: ListOptions) => {
      const sessions = await context.drover.sessions.list(options);
      context.result(sessions, table(sessions));
      return EXIT.ok;
    },
  );
}

interface ListOptions {
  readonly status?: SessionListing['status'];
  readonly agent?: string;
  readonly limit?: number;
}

interface EventsOptions {
  readonly after?: string;
  readonly before?: string;
  readonly desc?: boolean;
  readonly limit?: number;
  readonly types?: readonly SessionEventType[];
}

async function printEvents(
  context: CommandContext,
  [session]: [string],
  { desc, types, ...slice }: EventsOptions,
): Promise<number> {
  const options: SliceOptions = {
    ...slice,
    order: desc ? 'desc' : 'asc',
    ...(types === undefined ? {} : { types }),
  };
  const events = await context.drover.sessions.events(session, options);
  const style = styleFor(context.stdout);
  const lines = events
    .map((event) => formatEvent(event, style))
    .filter((text) => text !== undefined);
  if (context.json) context.result(events, '');
  else if (lines.length > 0) context.result(events, lines.join('\n'));
  return EXIT.ok;
}

function describe(session: SessionResource): string {
  const { agent, usage, stop_reason, pending_actions, title } = session;
  const state = stop_reason === null ? session.status : `${session.status} (${stop_reason.type})`;
  return [
    `${session.id}: ${state}`,
    ...(title === null ? [] : [`title:   ${withoutControls(title)}`]),
    `agent:   ${agent === null ? 'not resolved yet' : withoutControls(agent.definition.name)}`,
    `created: ${session.created_at}`,
    `tokens:  ${usage.input_tokens} in, ${usage.output_tokens} out`,
    ...pending_actions.map((id) => `waits for: ${id}`),
  ].join('\n');
}

function table(sessions: readonly SessionListing[]): string {
  if (sessions.length === 0) return 'no sessions';
  return toTable(
    ['SESSION', 'STATUS', 'AGENT', 'TITLE'],
    sessions.map((session) => [
      session.id,
      session.stop_reason === null ? session.status : `${session.status} (${session.stop_reason})`,
      session.agent ?? '-',
      session.title ?? '-',
    ]),
  );
}

function toTypes(text: string): readonly SessionEventType[] {
  const types = text.split(',').map((type) => type.trim());
  const unknown = types.filter((type) => !isEventType(type));
  if (unknown.length === 0) return types.filter(isEventType);
  throw new InvalidArgumentError(
    `there is no ${unknown.join(', ')}; there are ${EVENT_TYPES.join(', ')}.`,
  );
}

function toStatus(text: string): SessionListing['status'] {
  if (text === 'running' || text === 'idle' || text === 'terminated') return text;
  throw new InvalidArgumentError('give running, idle or terminated.');
}
