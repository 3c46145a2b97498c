import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n';

/**
 * Carries bytes both ways, as fast as the slower side takes them, until both sides have ended or
 * one has failed. What TLS encrypts stays so.
 *
 * @param head What the client sent behind its request.
 */
export async function tunnel(client: Duplex, head: Buffer, upstream: Socket): Promise<void> {
  client.write(ESTABLISHED);
  if (head.length > 0) upstream.write(head);
  const ways = [pipeline(client, upstream), pipeline(upstream, client)];
  try {
    await Promise.all(ways);
  } catch {
    // One side is gone; there is nobody to tell.
  } finally {
    client.destroy();
    upstream.destroy();
    await Promise.allSettled(ways);
  }
}
