import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { getCACertificates } from 'node:tls';
import {
  Client,
  QueryNotRegisteredError,
  QueryRejectedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { openSocketFolder, openStateFolder } from '../activities/hands/local/hand-folder.ts';
import type { Authority } from '../activities/vault/authority.ts';
import type { PayloadKeys } from '../codec/payload-codec.ts';
import { openKeysPath, readAuthority } from '../egress/authority-file.ts';
import { type CredentialUse, createCredentialUse } from '../egress/credential-use.ts';
import { createGitService } from '../egress/git-service.ts';
import { createHeldHands } from '../egress/held-hands.ts';
import { readKeys } from '../egress/keys.ts';
import { lineOf } from '../egress/last-words.ts';
import { listenLocally } from '../egress/local-listener.ts';
import { createEgressProxy } from '../egress/proxy.ts';
import type { EgressSettings } from '../egress/settings.ts';
import { createVariableSubstitution } from '../egress/variable-substitution.ts';
import { getHeldHands, type HeldHands } from '../protocol/messages.ts';
import type { Vault } from '../vault/vault.ts';
import type { Connected } from './connect.ts';
import { createClientConverter } from './data-converter.ts';
import { openAuthority } from './open-authority.ts';

/** What is under way elsewhere is given this long to end; a hand of this machine asks again. */
const STOP_MS = { far: 25_000, near: 2_000 } as const;
/** For a session to answer in; its worker may be about to be started again. */
const ASK_MS = 5_000;
/** Of a connection or a push on which nothing is said. */
const IDLE_MS = 15 * 60_000;

export interface GatewayOptions {
  readonly egress: EgressSettings;
  readonly stateFolder: string;
  /** Closed by whoever opened it. */
  readonly vault: Vault;
  /** What encrypts payloads. */
  readonly keys: PayloadKeys;
  /** Asked when the first credential is used: hosts alone need no Temporal server. */
  askTemporal(): Promise<Connected>;
}

export interface Gateway {
  /** Undefined: it takes connections, and knows the tokens of hands. */
  whyNotServing(): string | undefined;
}

/**
 * Starts the gateway: the way out of hands that may reach some hosts only, or that have credentials
 * to use.
 *
 * @param closing Gets what stops it.
 */
export async function startGateway(
  options: GatewayOptions,
  closing: AsyncDisposableStack,
): Promise<Gateway> {
  const { egress, stateFolder } = options;
  const { port, privateNetworks } = egress;
  const keysPath = openKeysPath(egress);
  // Said at once, not with the first request.
  readKeys(keysPath);
  const dialling = {
    resolve: (name: string) => lookup(name, { all: true }),
    privateNetworks,
    // Those of this Node, of `NODE_EXTRA_CA_CERTS` and of this machine.
    trusted: [...new Set([...getCACertificates('default'), ...getCACertificates('system')])],
    connectMs: 15_000,
  };
  const credentials = openCredentials(options);
  const proxy = createEgressProxy({
    ...dialling,
    readKeys: () => readKeys(keysPath),
    mostPerHand: 128,
    idleMs: IDLE_MS,
    headersMs: 10_000,
    substitution: createVariableSubstitution({
      credentials,
      readAuthority: () => readAuthority(keysPath),
    }),
    services: [
      createGitService({
        credentials,
        dialling,
        idleMs: IDLE_MS,
        onRefused: (refusal, { token, from }) => say(lineOf(refusal, { from, token })),
      }),
    ],
    log: say,
  });
  closing.defer(() => proxy.stop(port === null ? STOP_MS.near : STOP_MS.far));
  const sockets = openSocketFolder(openStateFolder(stateFolder));
  const local = await listenLocally(sockets, (socket, address) => proxy.serve(socket, address));
  let isStopping = false;
  closing.defer(() => {
    isStopping = true;
    local.close();
  });
  if (port !== null) {
    proxy.server.listen(port);
    await once(proxy.server, 'listening');
    say({ event: 'listening', port: (proxy.server.address() as AddressInfo).port });
  }
  return {
    whyNotServing: () => (isStopping ? 'the gateway is stopping' : whyNoKeys(keysPath)),
  };
}

/** They are read with each request: a file that is wrong by now has all of them refused. */
function whyNoKeys(keysPath: string): string | undefined {
  try {
    readKeys(keysPath);
    return undefined;
  } catch (error) {
    return `the gateway knows no tokens: ${error instanceof Error ? error.message : error}`;
  }
}

function openCredentials({ vault, keys, askTemporal }: GatewayOptions): CredentialUse {
  const sessions = createSessions(vault, keys);
  const held = createHeldHands(async (sessionId) =>
    sessions(await askTemporal()).heldHands(sessionId),
  );
  return createCredentialUse({
    vault,
    checkHeld: (token) => held.check(token),
    async checkPermitted({ session: session_id, chain_id }, vaultId) {
      const { authority } = sessions(await askTemporal());
      await authority.checkHand({ session_id, chain_id }, vaultId);
    },
  });
}

interface Sessions {
  readonly authority: Authority;
  heldHands(sessionId: string): Promise<HeldHands | undefined>;
}

/** Made for the one connection that there is. */
function createSessions(vault: Vault, keys: PayloadKeys): (connected: Connected) => Sessions {
  let made: Sessions | undefined;
  return ({ connection, namespace }) => {
    made ??= openSessions({ connection, namespace }, vault, keys);
    return made;
  };
}

function openSessions(
  { connection, namespace }: Pick<Connected, 'connection' | 'namespace'>,
  vault: Vault,
  keys: PayloadKeys,
): Sessions {
  // A closed session would answer as it was.
  const workflow = { queryRejectCondition: 'NOT_OPEN' } as const;
  const dataConverter = createClientConverter(keys);
  const client = new Client({ connection, namespace, dataConverter, workflow });
  return {
    authority: openAuthority({ connection, namespace }, vault, keys),
    heldHands: (sessionId) => askHeldHands(client, sessionId),
  };
}

/** Undefined when it is closed, unknown, or no session. */
async function askHeldHands(client: Client, sessionId: string): Promise<HeldHands | undefined> {
  const asked = client.withDeadline(Date.now() + ASK_MS, () =>
    client.workflow.getHandle(sessionId).query(getHeldHands),
  );
  return asked.catch((error: unknown) => {
    const isNone =
      error instanceof QueryRejectedError ||
      error instanceof QueryNotRegisteredError ||
      error instanceof WorkflowNotFoundError;
    if (isNone) return undefined;
    throw error;
  });
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
