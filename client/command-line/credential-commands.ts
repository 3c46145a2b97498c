import type { Command } from 'commander';
import type { CredentialAuth, CredentialInfo } from '../../protocol/credential.ts';
import { InvalidInputError } from '../errors/invalid-input-error.ts';
import type { LocalContext, RegisterLocal } from './command-context.ts';
import { EXIT } from './failure.ts';
import { withKeeper } from './open-keeper.ts';
import { readDefinition, readPairs } from './read-argument.ts';
import { readSecret } from './read-secret.ts';
import { toTable } from './table.ts';

interface ValueOptions {
  readonly valueFile?: string;
}

interface CreateOptions extends ValueOptions {
  readonly displayName?: string;
  readonly metadata?: readonly string[];
}

const VALUE_FILE = [
  '--value-file <path>',
  'file that holds the value (default: standard input)',
] as const;

/** `credentials`: what a vault holds. No value is ever printed, and none is an argument. */
export function addCredentialCommands(program: Command, register: RegisterLocal): void {
  const group = program
    .command('credentials')
    .description('what a vault holds; values come by standard input or file, and are never shown');
  register(
    group
      .command('create <vault> <id> <auth>')
      .description('put one into a vault; <auth> says what it is for, as JSON or @file')
      .option('--display-name <name>', 'for people')
      .option('--metadata <key=value...>', 'for programs')
      .option(...VALUE_FILE),
    createCredential,
  );
  register(
    group
      .command('rotate <vault> <id>')
      .description('put another value in its place')
      .option(...VALUE_FILE),
    async (context, [vault_id, credential_id]: [string, string], options: ValueOptions) => {
      const text = await readSecret(options.valueFile, context.stdin);
      const reference = { vault_id, credential_id };
      const rotated = await withKeeper((keeper) => keeper.rotateCredential(reference, text));
      context.result(rotated, `${credential_id} has another value`);
      return EXIT.ok;
    },
  );
  register(
    group
      .command('list <vault>')
      .description('print those that are not archived')
      .option('--archived', 'print the archived ones too'),
    async (context, [vault]: [string], { archived = false }: { readonly archived?: boolean }) => {
      const all = await withKeeper((keeper) => keeper.listCredentials(vault));
      const credentials = all.filter(({ archived_at }) => archived || archived_at === null);
      context.result(credentials, credentials.length === 0 ? 'no credentials' : table(credentials));
      return EXIT.ok;
    },
  );
  register(
    group
      .command('archive <vault> <id>')
      .description('let nobody use it any more, and erase its value'),
    async (context, [vault_id, credential_id]: [string, string]) => {
      const reference = { vault_id, credential_id };
      const archived = await withKeeper((keeper) => keeper.archiveCredential(reference));
      context.result(archived, `${credential_id} is archived, and its value is gone`);
      return EXIT.ok;
    },
  );
}

async function createCredential(
  context: LocalContext,
  [vault, id, text]: [string, string, string],
  { displayName, metadata = [], valueFile }: CreateOptions,
): Promise<number> {
  const auth = await readDefinition(text, 'auth');
  if (typeof auth === 'string') {
    throw new InvalidInputError(
      'auth: give JSON such as {"type":"git","url":"https://github.com/acme/"}, or @file',
    );
  }
  const credential = {
    vault_id: vault,
    id,
    display_name: displayName ?? null,
    metadata: readPairs(metadata, '--metadata'),
    // What it is the vault checks.
    auth: auth as CredentialAuth,
  };
  const value = await readSecret(valueFile, context.stdin);
  const created = await withKeeper((keeper) => keeper.createCredential(credential, value));
  context.result(created, created.id);
  return EXIT.ok;
}

function table(credentials: readonly CredentialInfo[]): string {
  const rows = credentials.map(({ id, auth, updated_at, archived_at }) => [
    id,
    auth.type,
    useOf(auth),
    archived_at === null ? 'active' : 'archived',
    updated_at,
  ]);
  return toTable(['ID', 'TYPE', 'FOR', 'STATE', 'UPDATED'], rows);
}

function useOf(auth: CredentialAuth): string {
  switch (auth.type) {
    case 'static_bearer':
    case 'mcp_oauth':
      return auth.mcp_server_url;
    case 'environment_variable':
      return auth.secret_name;
    case 'git':
      return auth.url;
  }
}
