import {
  Connection,
  type ConnectionOptions,
  defaultGrpcRetryOptions,
  makeGrpcRetryInterceptor,
} from '@temporalio/client';
import { ServerUnreachableError } from './errors/server-unreachable-error.ts';

/**
 * One page of a history can be larger than the 4 MB that gRPC takes by default, and the SDK's own
 * setting has no effect: its name lacks the prefix.
 */
const CHANNEL_ARGS = { 'grpc.max_receive_message_length': 128 * 1024 * 1024 };

/** About six seconds of retries: enough for a server that is started again, short for a person. */
const MAX_ATTEMPTS = 7;

export interface OpenConnection {
  readonly connection: Connection;
  close(): Promise<void>;
}

/** @throws ServerUnreachableError within the connect timeout */
export async function openConnection(
  address: string,
  options: Omit<ConnectionOptions, 'address' | 'interceptors'>,
): Promise<OpenConnection> {
  const retry = defaultGrpcRetryOptions({ maxAttempts: MAX_ATTEMPTS });
  let closing = false;
  let lastRetryAtMs = 0;
  const interceptor = makeGrpcRetryInterceptor({
    retryableDecider: (attempt, status) => !closing && retry.retryableDecider(attempt, status),
    delayFunction(attempt, status) {
      const delayMs = retry.delayFunction(attempt, status);
      lastRetryAtMs = Math.max(lastRetryAtMs, Date.now() + delayMs);
      return delayMs;
    },
  });
  const connection = await Connection.connect({
    ...options,
    address,
    channelArgs: { ...CHANNEL_ARGS, ...options.channelArgs },
    interceptors: [interceptor],
  }).catch((error: unknown) => {
    throw new ServerUnreachableError(address, { cause: error });
  });
  return {
    connection,
    // A retry on a closed connection throws where nobody can catch it, and ends the process.
    async close() {
      closing = true;
      const pendingMs = lastRetryAtMs - Date.now();
      if (pendingMs > 0) await new Promise((resolve) => setTimeout(resolve, pendingMs + 10));
      await connection.close();
    },
  };
}
