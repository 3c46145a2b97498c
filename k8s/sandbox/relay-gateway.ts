import { connect, createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';

/** Where commands find the gateway. */
export interface GatewayRelay {
  /** Of the loopback interface; 0 for any. */
  readonly port: number;
  /** Socket of the gateway. */
  readonly path: string;
  /** By which the gateway knows whose a connection is: commands cannot say another one. */
  readonly instance: string;
}

const AWAY = '502 the gateway does not answer';

/**
 * Carries what comes to a port to the gateway, which is told whose it is. The gateway may go and come
 * back meanwhile: it is looked for anew for each connection.
 *
 * @param away Status and words while it is away.
 */
export function relayGateway({ port, path, instance }: GatewayRelay, away = AWAY): Server {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on('error', () => {});
    const upstream = connect({ path, allowHalfOpen: true });
    upstream.once('error', () => refuse(client, away));
    upstream.once('connect', () => {
      upstream.write(`${instance}\n`);
      void carry(client, upstream);
    });
  });
  return server.listen(port, '127.0.0.1');
}

async function carry(client: Socket, upstream: Socket): Promise<void> {
  await Promise.allSettled([pipeline(client, upstream), pipeline(upstream, client)]);
  client.destroy();
  upstream.destroy();
}

function refuse(client: Socket, away: string): void {
  if (client.destroyed || client.bytesWritten > 0) {
    client.destroy();
    return;
  }
  const head = `HTTP/1.1 ${away}\r\nContent-Type: text/plain\r\nContent-Length: ${away.length + 1}`;
  client.end(`${head}\r\nConnection: close\r\n\r\n${away}\n`);
  client.resume();
}
