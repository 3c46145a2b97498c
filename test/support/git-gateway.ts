import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toBlockList } from '../../dial/public-addresses.ts';
import { createCredentialUse } from '../../egress/credential-use.ts';
import { createGitService } from '../../egress/git-service.ts';
import { gitVariables } from '../../egress/git-variables.ts';
import { type HandTokenInput, signToken, type TokenRepository } from '../../egress/hand-token.ts';
import { readKeys } from '../../egress/keys.ts';
import { createEgressProxy } from '../../egress/proxy.ts';
import type { Refusal } from '../../egress/refusal.ts';
import type { CredentialSecret } from '../../vault/vault.ts';

/** The gateway as the role `egress` composes it, with its git service, in this process. */
export interface GitGateway {
  readonly url: string;
  /** What was refused, oldest first. */
  readonly refusals: readonly Refusal[];
  /** Credentials by id. */
  readonly secrets: Map<string, CredentialSecret>;
  /** Throws when a session's hand is held no more, or may not use the vault. */
  checkHeld: () => void;
  checkPermitted: () => void;
  token(repositories: readonly TokenRepository[], change?: Partial<HandTokenInput>): string;
  /** Environment of a hand's commands. */
  variables(token: string): Readonly<Record<string, string>>;
  close(): Promise<void>;
}

const KEY = `k1 ${Buffer.alloc(32, 'k').toString('base64')}\n`;

export async function startGitGateway(
  options: { readonly privateNetworks?: readonly string[]; readonly idleMs?: number } = {},
): Promise<GitGateway> {
  const { privateNetworks = ['127.0.0.0/8'], idleMs = 20_000 } = options;
  const folder = mkdtempSync(join(tmpdir(), 'drover-gateway-'));
  const keysPath = join(folder, 'keys');
  writeFileSync(keysPath, KEY, { mode: 0o600 });
  const secrets = new Map<string, CredentialSecret>();
  const refusals: Refusal[] = [];
  const credentials = createCredentialUse({
    vault: {
      async secret({ credential_id }) {
        const secret = secrets.get(credential_id);
        if (secret === undefined) throw new Error(`no credential ${credential_id}`);
        return secret;
      },
    },
    checkHeld: async () => self.checkHeld(),
    checkPermitted: async () => self.checkPermitted(),
  });
  const dialling = {
    resolve: async () => [{ address: '127.0.0.1', family: 4 }],
    privateNetworks: toBlockList(privateNetworks),
    connectMs: 5_000,
    trusted: [],
  };
  const git = createGitService({
    credentials,
    dialling,
    idleMs,
    onRefused: (refusal) => void refusals.push(refusal),
  });
  const proxy = createEgressProxy({
    ...dialling,
    readKeys: () => readKeys(keysPath),
    log: () => {},
    substitution: {
      concerns: () => false,
      prepare: () => {
        throw new Error('no variables');
      },
      rewritingFor: async () => undefined,
    },
    services: [git],
    mostPerHand: 16,
    idleMs,
    headersMs: 5_000,
  });
  proxy.server.listen(0, '127.0.0.1');
  await once(proxy.server, 'listening');
  const url = `http://127.0.0.1:${(proxy.server.address() as AddressInfo).port}`;
  const self: GitGateway = {
    url,
    refusals,
    secrets,
    checkHeld: () => {},
    checkPermitted: () => {},
    token: (repositories, change = {}) =>
      signToken(readKeys(keysPath), {
        session: 'session-1',
        chain_id: 'chain-1',
        name: 'main',
        generation: 1,
        hand: 'hand-1',
        addresses: ['127.0.0.1'],
        hosts: [],
        repositories: [...repositories],
        expires: Math.floor(Date.now() / 1000) + 3600,
        ...change,
      }),
    variables: (token) => gitVariables(url, token),
    async close() {
      proxy.server.closeAllConnections();
      await proxy.stop(0);
      rmSync(folder, { recursive: true });
    },
  };
  return self;
}
