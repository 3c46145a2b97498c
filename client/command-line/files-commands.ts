import type { Command } from 'commander';
import type { SessionFiles } from '../read-output-list.ts';
import type { CommandContext, Register } from './command-context.ts';
import { EXIT } from './failure.ts';
import { withoutControls } from './format-event.ts';
import { toTable } from './table.ts';

/** `files`: what goes into sessions, and what comes out of them. */
export function addFilesCommands(program: Command, register: Register): void {
  const group = program.command('files').description('files that go into sessions and come out');
  const hand = ['--hand <name>', 'hand of the session (default: main)'] as const;

  register(
    group
      .command('upload <path>')
      .description('put a file into the store; prints the id that a session’s resources name'),
    async (context, [path]: [string]) => {
      const file = await context.drover.files.upload(path);
      context.result(file, file.id);
      return EXIT.ok;
    },
  );
  register(
    group
      .command('list <session>')
      .description('print the files that a session gave: those under /mnt/session/outputs')
      .option(...hand),
    async (context, [session]: [string], options: { readonly hand?: string }) => {
      const files = await context.drover.files.list(session, options);
      context.result(files, table(files));
      return EXIT.ok;
    },
  );
  register(
    group
      .command('get <session> <path>')
      .description('write one of them into a folder, under its own path')
      .option('--to <folder>', 'default: the current one')
      .option(...hand),
    getFile,
  );
}

async function getFile(
  context: CommandContext,
  [session, path]: [string, string],
  { to = '.', ...options }: { readonly to?: string; readonly hand?: string },
): Promise<number> {
  const file = await context.drover.files.get(session, path, to, options);
  context.result(file, withoutControls(file.path));
  return EXIT.ok;
}

function table({ files, is_cut }: SessionFiles): string {
  if (files.length === 0) return 'no files';
  const rows = files.map(({ path, bytes, modified_at }) => [path, String(bytes), modified_at]);
  const lines = toTable(['PATH', 'BYTES', 'MODIFIED'], rows);
  return is_cut ? `${lines}\n… and more, which were not collected` : lines;
}
