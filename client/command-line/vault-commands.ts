import type { Command } from 'commander';
import type { VaultInfo } from '../../protocol/credential.ts';
import type { RegisterLocal } from './command-context.ts';
import { EXIT } from './failure.ts';
import { withKeeper } from './open-keeper.ts';
import { readPairs } from './read-argument.ts';
import { toTable } from './table.ts';

interface CreateOptions {
  readonly displayName?: string;
  readonly metadata?: readonly string[];
  readonly allowAgent?: readonly string[];
  readonly allowOwner?: readonly string[];
}

/** `vaults`: named sets of credentials. They ask no Temporal server. */
export function addVaultCommands(program: Command, register: RegisterLocal): void {
  const group = program
    .command('vaults')
    .description('named sets of credentials that sessions may use (where: DROVER_VAULT)');
  register(
    group
      .command('create <id>')
      .description('make one; sessions name it in vault_ids')
      .option('--display-name <name>', 'for people')
      .option('--metadata <key=value...>', 'for programs')
      .option('--allow-agent <id...>', 'only registered agents with these ids (default: any agent)')
      .option('--allow-owner <owner...>', 'only sessions that these started (default: anybody)'),
    async (context, [id]: [string], options: CreateOptions) => {
      const vault = {
        id,
        display_name: options.displayName ?? null,
        metadata: readPairs(options.metadata ?? [], '--metadata'),
        allowed_agents: options.allowAgent ? [...options.allowAgent] : null,
        allowed_owners: options.allowOwner ? [...options.allowOwner] : null,
      };
      const created = await withKeeper((keeper) => keeper.createVault(vault));
      context.result(created, created.id);
      return EXIT.ok;
    },
  );
  register(
    group
      .command('list')
      .description('print those that are not archived')
      .option('--archived', 'print the archived ones too'),
    async (context, _args: [], { archived = false }: { readonly archived?: boolean }) => {
      const all = await withKeeper((keeper) => keeper.listVaults());
      const vaults = all.filter(({ archived_at }) => archived || archived_at === null);
      context.result(vaults, vaults.length === 0 ? 'no vaults' : table(vaults));
      return EXIT.ok;
    },
  );
  register(
    group.command('get <id>').description('print one, and who may use it'),
    async (context, [id]: [string]) => {
      const vault = await withKeeper((keeper) => keeper.getVault(id));
      context.result(vault, JSON.stringify(vault, null, 2));
      return EXIT.ok;
    },
  );
  register(
    group
      .command('archive <id>')
      .description('let nobody use it any more, and erase the values of its credentials'),
    async (context, [id]: [string]) => {
      const vault = await withKeeper((keeper) => keeper.archiveVault(id));
      context.result(vault, `${id} is archived, and its values are gone`);
      return EXIT.ok;
    },
  );
  register(
    group
      .command('reseal')
      .description('encrypt every record of a folder with the first key of its key file'),
    async (context) => {
      const records = await withKeeper((keeper) => keeper.reseal());
      context.result({ records }, `${records} records are sealed with the newest key`);
      return EXIT.ok;
    },
  );
}

function table(vaults: readonly VaultInfo[]): string {
  const rows = vaults.map(({ id, display_name, archived_at, created_at }) => [
    id,
    display_name ?? '-',
    archived_at === null ? 'active' : 'archived',
    created_at,
  ]);
  return toTable(['ID', 'NAME', 'STATE', 'CREATED'], rows);
}
