import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** Of connections that came by no network, or through another one. */
const given = new WeakMap<Socket, string>();

export function giveAddress(socket: Socket, address: string): void {
  given.set(socket, address);
}

/** Of who asks, version 4 in its own form. */
export function addressOf({ socket }: Pick<IncomingMessage, 'socket'>): string {
  return given.get(socket) ?? plainAddress(socket.remoteAddress ?? '');
}

/** Of a hand on this machine: it speaks through its supervisor, which no other hand reaches. */
export function localAddress(handKey: string): string {
  return `local:${handKey}`;
}

function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}
