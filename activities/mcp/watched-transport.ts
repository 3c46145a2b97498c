import { type JSONRPCMessage, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

type SendOptions = Parameters<StreamableHTTPClientTransport['send']>[1];

/** The answer of a request was cut off. As a JSON-RPC error it ends the request at once. */
export const CUT_OFF = -32_000;
const WORDS = 'the connection ended before the result came';

/**
 * The client's transport leaves a request whose stream ends without a response to its timeout,
 * which may be long.
 */
export class WatchedTransport extends StreamableHTTPClientTransport {
  override send(message: JSONRPCMessage, options?: SendOptions): Promise<void> {
    if (!('id' in message && 'method' in message)) return super.send(message, options);
    const { id } = message;
    return super.send(message, {
      ...options,
      onRequestStreamEnd: () => {
        // Of a request that has its response nobody waits for this one.
        const error = { code: CUT_OFF, message: WORDS };
        this.onmessage?.({ jsonrpc: '2.0', id, error });
        options?.onRequestStreamEnd?.();
      },
    });
  }
}
