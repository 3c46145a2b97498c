import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LocalGateway } from '../../activities/hands/local/give-access.ts';
import { openSocketFolder, openStateFolder } from '../../activities/hands/local/hand-folder.ts';
import { toBlockList } from '../../dial/public-addresses.ts';
import { openEgressFolder, readAuthorityCertificate } from '../../egress/authority-file.ts';
import { createCredentialUse } from '../../egress/credential-use.ts';
import { createGitService } from '../../egress/git-service.ts';
import { gitVariables } from '../../egress/git-variables.ts';
import { type HandTokenInput, signToken, type TokenRepository } from '../../egress/hand-token.ts';
import { readKeys } from '../../egress/keys.ts';
import { listenLocally } from '../../egress/local-listener.ts';
import { createEgressProxy } from '../../egress/proxy.ts';
import type { Refusal } from '../../egress/refusal.ts';
import type { CredentialSecret } from '../../vault/vault.ts';

/** The gateway as the role `egress` composes it, with its git service, in this process. */
export interface GitGateway {
  readonly url: string;
  readonly port: number;
  /** Of its keys. */
  readonly folder: string;
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
  /** What providers of local hands are told of it. */
  readonly local: LocalGateway;
  /** Serves the hands of a state folder too. */
  serveLocally(stateFolder: string): Promise<void>;
  endLocally(): void;
  close(): Promise<void>;
}

export async function startGitGateway(
  options: {
    readonly privateNetworks?: readonly string[];
    readonly idleMs?: number;
    /** PEM of authorities besides those of this machine. */
    readonly trusted?: readonly string[];
    /** Where it listens. Default: this machine alone. */
    readonly host?: string;
    /** Takes the tokens of this one too. */
    readonly keysOf?: GitGateway;
  } = {},
): Promise<GitGateway> {
  const { privateNetworks = ['127.0.0.0/8'], idleMs = 20_000 } = options;
  const folder = mkdtempSync(join(tmpdir(), 'drover-gateway-'));
  const { keysOf } = options;
  if (keysOf !== undefined) cpSync(keysOf.folder, folder, { recursive: true });
  const keysPath = openEgressFolder(folder);
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
    trusted: [...(options.trusted ?? [])],
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
  proxy.server.listen(0, options.host ?? '127.0.0.1');
  await once(proxy.server, 'listening');
  const { port } = proxy.server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const closers: (() => void)[] = [];
  const self: GitGateway = {
    url,
    port,
    folder,
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
    local: {
      readKeys: () => readKeys(keysPath),
      readCertificate: () => readAuthorityCertificate(keysPath),
    },
    async serveLocally(stateFolder) {
      const sockets = openSocketFolder(openStateFolder(stateFolder));
      const { close } = await listenLocally(sockets, (socket, address) =>
        proxy.serve(socket, address),
      );
      closers.push(close);
    },
    endLocally() {
      for (const close of closers.splice(0)) close();
    },
    async close() {
      self.endLocally();
      proxy.server.closeAllConnections();
      await proxy.stop(0);
      rmSync(folder, { recursive: true });
    },
  };
  return self;
}
