import { once } from 'node:events';
import { isIP, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { DialOptions } from './dial.ts';
import { Refusal } from './refusal.ts';
import type { Target } from './target.ts';

/**
 * Speaks TLS on a connected socket, with the host that was dialled and no other.
 *
 * @param upstream Closed when that fails.
 * @throws {Refusal}
 */
export async function dialTls(
  upstream: Socket,
  { host }: Target,
  { trusted, connectMs }: Pick<DialOptions, 'trusted' | 'connectMs'>,
): Promise<TLSSocket> {
  const socket = connect({
    socket: upstream,
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ca: [...trusted],
    ALPNProtocols: ['http/1.1'],
    // Of the host, whatever it is called: checked besides the chain.
    rejectUnauthorized: true,
  });
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(connectMs) });
  } catch (error) {
    socket.destroy();
    upstream.destroy();
    throw toRefusal(error, host, connectMs);
  }
  socket.on('error', () => {});
  return socket;
}

function toRefusal(error: unknown, host: string, timeoutMs: number): Refusal {
  const { name, code = '' } = error as NodeJS.ErrnoException;
  if (name === 'AbortError') {
    const words = `host ${host} did not answer by TLS in ${timeoutMs / 1000} s`;
    return new Refusal({ status: 504, reason: 'unreachable', words });
  }
  const words = `host ${host} does not prove by TLS that it is that host (${code.replace(/\W/g, '')})`;
  return new Refusal({ status: 502, reason: 'unreachable', words });
}
