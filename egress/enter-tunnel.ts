import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { HttpTarget, Target } from './target.ts';
import { ESTABLISHED } from './tunnel.ts';

/** A tunnel whose requests the gateway reads. */
export interface EnteredTunnel {
  /** As the client speaks to the host: what is in it is plain. */
  readonly socket: Socket;
  readonly scheme: HttpTarget['scheme'];
}

const HANDSHAKE = 0x16;

/**
 * Takes the place of a tunnel's host: by TLS, if that is how the client begins.
 *
 * @param head What the client sent behind its request.
 * @param contextOf Gives the certificate that it is shown.
 * @throws when the client goes, or does not want this host or HTTP/1.1.
 */
export async function enterTunnel(
  client: Socket,
  head: Buffer,
  { host }: Target,
  contextOf: (host: string) => SecureContext,
): Promise<EnteredTunnel> {
  client.write(ESTABLISHED);
  if (head.length > 0) client.unshift(head);
  const first = await firstByte(client);
  if (first !== HANDSHAKE) return { socket: client, scheme: 'http' };
  const socket = new TLSSocket(client, {
    isServer: true,
    secureContext: contextOf(host),
    ALPNProtocols: ['http/1.1'],
    // Who names another host than the tunnel does gets no certificate.
    SNICallback: (name, done) => {
      const isHost = name.toLowerCase().replace(/\.$/, '') === host;
      done(isHost ? null : new Error('the name is not that of the tunnel'), contextOf(host));
    },
  });
  await secured(socket);
  return { socket, scheme: 'https' };
}

/** Without taking it. */
async function firstByte(client: Socket): Promise<number> {
  for (;;) {
    const chunk: Buffer | null = client.read();
    if (chunk !== null) {
      client.unshift(chunk);
      return chunk.readUInt8();
    }
    if (client.readableEnded || client.destroyed) throw new Error('the client has gone');
    await Promise.race([once(client, 'readable'), once(client, 'end'), once(client, 'close')]);
  }
}

function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('secure', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the client has gone')));
  });
}
