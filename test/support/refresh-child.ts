/** A process that holds the vault: it is told which token was rejected and answers what it got. */
import { openVault } from '../../vault/open-vault.ts';
import { readVaultSettings } from '../../vault/settings.ts';

export interface RefreshOrder {
  readonly id: number;
  readonly credentialId: string;
  readonly rejected: string;
  /** Calls at the same time. */
  readonly calls: number;
}

export interface RefreshReport {
  readonly id: number;
  readonly tokens: readonly string[];
  readonly error?: string;
}

const vault = openVault(readVaultSettings(process.env, process.cwd()));

process.on('message', (order: RefreshOrder) => {
  const reference = { vault_id: 'team', credential_id: order.credentialId };
  const { rejected } = order;
  const calls = Array.from({ length: order.calls }, () =>
    vault.accessToken(reference, { rejected }),
  );
  Promise.all(calls).then(
    (tokens) => report({ id: order.id, tokens }),
    (error: unknown) => report({ id: order.id, tokens: [], error: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));

function report(what: RefreshReport): void {
  process.send?.(what);
}
