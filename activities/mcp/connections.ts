import type { Client, FetchLike } from '@modelcontextprotocol/client';
import type { CredentialReference } from '../../protocol/credential.ts';
import { connectToServer } from './connect.ts';
import { createAuthProvider, type SentTokens, type TokenVault } from './credential.ts';
import { createRedactor, type Redactor } from './redactor.ts';
import { createServerFetch } from './server-fetch.ts';
import { WatchedTransport } from './watched-transport.ts';

/** A connection to one server, of one run of one session and with one credential. */
export interface Connection {
  readonly client: Client;
  readonly redactor: Redactor;
  /** The server has said so since this was asked last. */
  takeToolsChanged(): boolean;
  /** Nobody uses it again: the next one makes a new one. */
  giveUp(): void;
}

export interface ConnectionPlace {
  readonly runId: string;
  readonly url: string;
  readonly credential: CredentialReference | undefined;
}

/**
 * Connections that stay open between calls: to many servers they are a session of their own. None is
 * shared by two sessions, or used with another credential than it was made with.
 */
export interface Connections {
  /**
   * Runs something on a connection, made when there is none.
   *
   * @throws NotConnectedError
   */
  use<Result>(
    place: ConnectionPlace,
    options: UseOptions,
    work: (connection: Connection, wasHeld: boolean) => Promise<Result>,
  ): Promise<Result>;
  close(): Promise<void>;
}

export interface UseOptions {
  readonly signal: AbortSignal;
  /** Gets what takes the secrets out of errors, before anything can fail. */
  onRedactor(redactor: Redactor): void;
}

/** What failed was the making of the connection. */
export class NotConnectedError extends Error {
  override readonly name = 'NotConnectedError';

  constructor(cause: unknown) {
    super('no connection was made', { cause });
  }
}

interface Held {
  readonly redactor: Redactor;
  readonly opening: Promise<Connection>;
  users: number;
  idle: NodeJS.Timeout | undefined;
}

const IDLE_MS = 60_000;

export function createConnections(deps: {
  readonly fetch: FetchLike;
  readonly vault: TokenVault;
}): Connections {
  const held = new Map<string, Held>();

  const drop = async (key: string, connection: Held): Promise<void> => {
    if (held.get(key) === connection) held.delete(key);
    clearTimeout(connection.idle);
    await connection.opening.then(({ client }) => end(client)).catch(() => {});
  };

  const leave = (key: string, connection: Held): void => {
    if (held.get(key) !== connection) void drop(key, connection);
    else connection.idle = setTimeout(() => void drop(key, connection), IDLE_MS).unref();
  };

  return {
    async use(place, { signal, onRedactor }, work) {
      const key = JSON.stringify([place.runId, place.url, place.credential]);
      const forget = (): void => void (held.get(key) === used && held.delete(key));
      const before = held.get(key);
      const used = before ?? open(place, deps, () => forget());
      held.set(key, used);
      clearTimeout(used.idle);
      used.users += 1;
      onRedactor(used.redactor);
      try {
        const connection = await whileWanted(used.opening, signal).catch((error: unknown) => {
          throw new NotConnectedError(error);
        });
        return await work(connection, before !== undefined);
      } finally {
        used.users -= 1;
        if (used.users === 0) leave(key, used);
      }
    },
    async close() {
      await Promise.all([...held].map(([key, connection]) => drop(key, connection)));
    },
  };
}

function open(
  { url, credential }: ConnectionPlace,
  { fetch, vault }: { readonly fetch: FetchLike; readonly vault: TokenVault },
  giveUp: () => void,
): Held {
  const redactor = createRedactor();
  const sentTokens: SentTokens = new WeakMap();
  let haveToolsChanged = false;
  const opening = connectToServer({
    url,
    fetch: createServerFetch(fetch, sentTokens),
    authProvider:
      credential === undefined
        ? undefined
        : createAuthProvider(credential, { vault, redactor, sentTokens }),
    onToolsChanged: () => {
      haveToolsChanged = true;
    },
  }).then((client) => ({
    client,
    redactor,
    giveUp,
    takeToolsChanged() {
      const have = haveToolsChanged;
      haveToolsChanged = false;
      return have;
    },
  }));
  opening.catch(giveUp);
  return { redactor, opening, users: 0, idle: undefined };
}

/** Several calls may wait for one connection: who is interrupted leaves it to the others. */
async function whileWanted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Servers that hold a session for the connection are told that it is over. */
async function end(client: Client): Promise<void> {
  const { transport } = client;
  if (transport instanceof WatchedTransport) {
    await transport.terminateSession().catch(() => {});
  }
  await client.close().catch(() => {});
}
