import type { Command } from 'commander';
import { InvalidInputError } from '../errors/invalid-input-error.ts';
import type { Registry } from '../registry.ts';
import type { CommandContext, Register } from './command-context.ts';
import { EXIT } from './failure.ts';
import { readDefinition, toCount } from './read-argument.ts';
import { toTable } from './table.ts';

type AnyRegistry = Registry<{ readonly name: string }, never>;

/** `agents` or `environments`: create, get, list, update, archive. */
export function addRegistryCommands(
  program: Command,
  register: Register,
  kind: 'agents' | 'environments',
): void {
  const singular = kind === 'agents' ? 'agent' : 'environment';
  const group = program.command(kind).description(`registered ${kind}, in versions`);
  const registry = (context: CommandContext) => context.drover[kind] as unknown as AnyRegistry;
  const definition = 'as JSON, or @file that holds it';

  register(
    group
      .command('create <definition>')
      .description(`register one ${definition}`)
      .option('--id <id>', `id of the ${singular}`),
    async (context, [text]: [string], { id }: { readonly id?: string }) => {
      const created = await registry(context).create(
        await toDefinition(text),
        id === undefined ? {} : { id },
      );
      context.result(created, created.id);
      return EXIT.ok;
    },
  );
  register(
    group.command('update <id> <definition>').description(`append a version ${definition}`),
    async (context, [id, text]: [string, string]) => {
      const entry = await registry(context).update(id, await toDefinition(text));
      context.result(entry, `${id} version ${entry.version}`);
      return EXIT.ok;
    },
  );
  register(
    group
      .command('get <id>')
      .description('print one as it stands')
      .option('--version <version>', 'not the latest version but this one', toCount),
    async (context, [id]: [string], { version }: { readonly version?: number }) => {
      const entry = await registry(context).get(id, version === undefined ? {} : { version });
      context.result(entry, JSON.stringify(entry, null, 2));
      return EXIT.ok;
    },
  );
  register(group.command('list').description('print all, newest first'), async (context) => {
    const entries = await registry(context).list();
    const rows = entries.map(({ id, name }) => [id, name ?? '-']);
    context.result(entries, rows.length === 0 ? `no ${kind}` : toTable(['ID', 'NAME'], rows));
    return EXIT.ok;
  });
  register(
    group.command('archive <id>').description('let no new session use it'),
    async (context, [id]: [string]) => {
      const entry = await registry(context).archive(id);
      context.result(entry, `${id} is archived`);
      return EXIT.ok;
    },
  );
}

async function toDefinition(text: string): Promise<never> {
  const definition = await readDefinition(text, 'definition');
  if (typeof definition === 'string') {
    throw new InvalidInputError('definition: give a JSON object, or @file that holds one');
  }
  return definition as never;
}
