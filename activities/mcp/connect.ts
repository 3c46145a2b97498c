import {
  type AuthProvider,
  Client,
  type FetchLike,
  SdkHttpError,
  SSEClientTransport,
} from '@modelcontextprotocol/client';
import { WatchedTransport } from './watched-transport.ts';

export interface ConnectOptions {
  readonly url: string;
  readonly fetch: FetchLike;
  /** Undefined: the session has no credential for this server. */
  readonly authProvider: AuthProvider | undefined;
  onToolsChanged(): void;
}

const CONNECT_MS = 20_000;
/** What servers that know the older transport alone answer to the newer one. */
const OLDER_TRANSPORT = new Set([400, 404, 405]);

/** Connects by streamable HTTP, or by SSE to a server that knows nothing newer. The caller closes it. */
export async function connectToServer(options: ConnectOptions): Promise<Client> {
  const { authProvider, fetch } = options;
  const url = new URL(options.url);
  const transportOptions = { fetch, ...(authProvider === undefined ? {} : { authProvider }) };
  try {
    const client = createClient(options, 'auto');
    await connect(client, new WatchedTransport(url, transportOptions));
    return client;
  } catch (error) {
    if (!(error instanceof SdkHttpError) || !OLDER_TRANSPORT.has(error.status)) throw error;
    const client = createClient(options, 'legacy');
    // What the newer transport was told is the better reason.
    await connect(client, new SSEClientTransport(url, transportOptions)).catch(() => {
      throw error;
    });
    return client;
  }
}

function createClient({ onToolsChanged }: ConnectOptions, mode: 'auto' | 'legacy'): Client {
  const client = new Client(
    { name: 'drover', version: '0.1.0' },
    { versionNegotiation: { mode }, inputRequired: { autoFulfill: false } },
  );
  client.setNotificationHandler('notifications/tools/list_changed', onToolsChanged);
  return client;
}

async function connect(client: Client, transport: Parameters<Client['connect']>[0]): Promise<void> {
  // Closed, it gives up what it still waits for: not every step of connecting has a time limit.
  const late = setTimeout(() => void transport.close(), CONNECT_MS);
  try {
    await client.connect(transport, { timeout: CONNECT_MS });
  } catch (error) {
    await client.close().catch(() => {});
    throw error;
  } finally {
    clearTimeout(late);
  }
}
