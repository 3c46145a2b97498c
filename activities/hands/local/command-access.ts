import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { trustVariables } from '../../../hand/trust.ts';
import { gatewayVariables } from '../gateway-token.ts';
import { openGatewayRelay } from './gateway-relay.ts';
import { readHandAccess } from './hand-access.ts';
import type { HandFolder } from './hand-folder.ts';
import type { SupervisorSettings } from './supervisor-settings.ts';

/** What the commands of a hand with credentials get besides. */
export interface CommandAccess {
  /** Where the gateway is, on this machine outside the sandbox; undefined without a network. */
  readonly port?: number;
  /** File of variables, which the sandbox can read. */
  readonly variables: string;
  close(): void;
}

/** Where the isolation's runtime has its proxy in a sandbox, whose network is its own. */
const INSIDE = 'localhost:3128';
/** By which the runtime tells of its proxy too. */
const MORE_PROXIES = ['ALL_PROXY', 'all_proxy', 'GRPC_PROXY', 'grpc_proxy'];

export async function openCommandAccess(
  { instance, isolation }: SupervisorSettings,
  folder: HandFolder,
): Promise<CommandAccess | undefined> {
  const access = readHandAccess(folder, instance);
  if (access === undefined) return undefined;
  const path = join(folder.sockets, `variables-${instance.slice(0, 8)}.json`);
  const tell = (variables: Readonly<Record<string, string>>): void =>
    writeFileSync(path, JSON.stringify(variables), { mode: 0o600 });
  const { variables, gateway } = access;
  if (gateway === null) {
    tell(variables);
    return { variables: path, close: () => {} };
  }
  const { port, close } = await openGatewayRelay(gateway);
  const address = isolation === 'required' ? INSIDE : `127.0.0.1:${port}`;
  const proxies = gatewayVariables({
    address,
    token: gateway.token,
    hasRepositories: gateway.has_repositories,
  });
  tell({
    ...variables,
    ...proxies,
    ...Object.fromEntries(MORE_PROXIES.map((name) => [name, proxies['HTTPS_PROXY'] ?? ''])),
    ...trustVariables(join(folder.sockets, 'trust'), gateway.authority, undefined),
  });
  return { port, variables: path, close };
}
