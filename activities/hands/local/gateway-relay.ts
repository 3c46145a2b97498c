import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { presentHand } from '../../../egress/local-listener.ts';
import type { HandAccess } from './hand-access.ts';

/** A port of this machine behind which the gateway is, as one hand sees it. */
export interface GatewayRelay {
  readonly port: number;
  close(): void;
}

const AWAY = '502 the gateway does not answer: no worker of this machine runs it (role egress)';

/**
 * Carries what comes to a port to the gateway, which is told whose it is. The gateway may go and come
 * back meanwhile, with its worker: it is looked for anew for each connection.
 */
export async function openGatewayRelay({
  socket,
  hand,
}: NonNullable<HandAccess['gateway']>): Promise<GatewayRelay> {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on('error', () => {});
    const upstream = connect({ path: socket, allowHalfOpen: true });
    upstream.once('error', () => refuse(client));
    upstream.once('connect', () => {
      presentHand(upstream, hand);
      void carry(client, upstream);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: () => void server.close(),
  };
}

async function carry(client: Socket, upstream: Socket): Promise<void> {
  const ways = [pipeline(client, upstream), pipeline(upstream, client)];
  await Promise.allSettled(ways);
  client.destroy();
  upstream.destroy();
}

function refuse(client: Socket): void {
  if (client.destroyed || client.bytesWritten > 0) {
    client.destroy();
    return;
  }
  const body = `${AWAY}\n`;
  client.end(
    `HTTP/1.1 ${AWAY}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
  client.resume();
}
