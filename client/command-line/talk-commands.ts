import type { Command } from 'commander';
import type { SendInput } from '../../protocol/user-event.ts';
import type { CreateSession } from '../create-session.ts';
import { InvalidInputError } from '../errors/invalid-input-error.ts';
import type { CommandContext, Register } from './command-context.ts';
import { EXIT } from './failure.ts';
import { parseJson, readDefinition, readText } from './read-argument.ts';
import { watchCommand } from './watch-command.ts';

/** Commands that say something to a session. */
export function addTalkCommands(program: Command, register: Register): void {
  register(
    program
      .command('start [text...]')
      .description('start a session; the text is the first message, - reads it from standard input')
      .option('--agent <agent>', 'id of a registered agent, or a definition as JSON or @file')
      .option('--environment <environment>', 'of hand main, likewise')
      .option('--hands <hands>', 'more hands: environments by name, as JSON or @file')
      .option(
        '--resource <resource...>',
        'put into hand main: one or a list of them, as JSON or @file',
      )
      .option('--vault <vault...>', 'ids of vaults whose credentials it may use')
      .option('--title <title>', 'what list and the Web UI call it')
      .option('--id <id>', 'id of the session')
      .option('--wait', 'print the log until the session is idle; exit 0 only at end_turn'),
    startSession,
  );
  register(
    program
      .command('send <session> [text...]')
      .description('send a message; - reads it from standard input')
      .option('--event <json>', 'send an event instead of a message')
      .option('--id <id>', 'name of this sending: the same id is recorded once')
      .option('--wait', 'print what follows until the session is idle; exit 0 only at end_turn'),
    sendMessage,
  );
  register(
    program.command('interrupt <session>').description('stop what the session is doing'),
    async (context, [session]: [string]) => sent(context, session, { type: 'user.interrupt' }, {}),
  );
  register(
    program
      .command('approve <session> [toolUse]')
      .description('allow a tool use that waits; without its id, the only one'),
    (context, [session, toolUse]: [string, string?]) => confirm(context, session, toolUse, 'allow'),
  );
  register(
    program
      .command('deny <session> [toolUse]')
      .description('refuse a tool use that waits; without its id, the only one')
      .option('--message <text>', 'told to the model'),
    (context, [session, toolUse]: [string, string?], options: { readonly message?: string }) =>
      confirm(context, session, toolUse, 'deny', options.message),
  );
  register(
    program.command('archive <session>').description('end a session; its log stays'),
    async (context, [session]: [string]) => {
      await context.drover.sessions.archive(session);
      context.result({ id: session, archived: true }, `${session} is ending`);
      return EXIT.ok;
    },
  );
}

interface StartOptions {
  readonly agent?: string;
  readonly environment?: string;
  readonly hands?: string;
  readonly resource?: readonly string[];
  readonly vault?: readonly string[];
  readonly title?: string;
  readonly id?: string;
  readonly wait?: boolean;
}

async function startSession(
  context: CommandContext,
  [words]: [string[]],
  options: StartOptions,
): Promise<number> {
  const { title, id } = options;
  const text = await readText(words, context.stdin);
  if (words.length > 0 && text === '') {
    throw new InvalidInputError(
      'the text is empty: give one, or none to start a session that waits',
    );
  }
  const input = {
    ...(await readDefinitions(options)),
    ...(title === undefined ? {} : { title }),
    ...(text === '' ? {} : { initial_events: text }),
  };
  const created = await context.drover.sessions.create(
    input as CreateSession,
    id === undefined ? {} : { id },
  );
  if (!context.json || !options.wait) context.result(created, created.id);
  if (!options.wait) return EXIT.ok;
  return watchCommand(context, created.id, { untilIdle: true });
}

async function readDefinitions(options: StartOptions): Promise<object> {
  const { agent, environment, hands, resource = [], vault } = options;
  const resources = await Promise.all(
    resource.map((text) => readDefinition(text, '--resource').then(toResources)),
  );
  return {
    ...(agent === undefined ? {} : { agent: await readDefinition(agent, '--agent') }),
    ...(environment === undefined
      ? {}
      : { environment: await readDefinition(environment, '--environment') }),
    ...(hands === undefined ? {} : { hands: await readDefinition(hands, '--hands') }),
    ...(resources.length === 0 ? {} : { resources: resources.flat() }),
    ...(vault === undefined ? {} : { vault_ids: vault }),
  };
}

function toResources(definition: unknown): unknown {
  if (typeof definition !== 'string') return definition;
  throw new InvalidInputError('--resource: give JSON, or @file that holds it');
}

interface SendCommandOptions {
  readonly event?: string;
  readonly id?: string;
  readonly wait?: boolean;
}

async function sendMessage(
  context: CommandContext,
  [session, words]: [string, string[]],
  options: SendCommandOptions,
): Promise<number> {
  const text = await readText(words, context.stdin);
  if (options.event === undefined && text === '') {
    throw new InvalidInputError('nothing to send: give a text, - for standard input, or --event');
  }
  const input = options.event === undefined ? text : parseJson(options.event, '--event');
  return sent(context, session, input as SendInput, options);
}

async function sent(
  context: CommandContext,
  session: string,
  input: SendInput,
  { id, wait }: SendCommandOptions,
): Promise<number> {
  const { sessions } = context.drover;
  // The log before, so that waiting shows what follows.
  const last = wait ? (await sessions.events(session, { order: 'desc', limit: 1 }))[0] : undefined;
  const result = await sessions.send(session, input, id === undefined ? {} : { id });
  if (!context.json || !wait) context.result(result, result.event_ids.join('\n'));
  if (!wait) return EXIT.ok;
  const after = last === undefined ? {} : { after: last.position };
  return watchCommand(context, session, { ...after, untilIdle: true });
}

async function confirm(
  context: CommandContext,
  session: string,
  toolUse: string | undefined,
  result: 'allow' | 'deny',
  message?: string,
): Promise<number> {
  const { sessions } = context.drover;
  const id = toolUse ?? onlyOne((await sessions.get(session)).pending_actions);
  const sending = await sessions.confirm(
    session,
    id,
    result,
    message === undefined ? {} : { message },
  );
  context.result(sending, `${result === 'allow' ? 'approved' : 'denied'} ${id}`);
  return EXIT.ok;
}

function onlyOne(pending: readonly string[]): string {
  const [id] = pending;
  if (id !== undefined && pending.length === 1) return id;
  throw new InvalidInputError(
    id === undefined
      ? 'no tool use waits for anybody; get shows what the session is doing'
      : `${pending.length} tool uses wait: name one of ${pending.join(', ')}`,
  );
}
