import { once } from 'node:events';
import { renameSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { localAddress } from './address-of.ts';
import { isServed, removeDeadSockets } from './dead-sockets.ts';

// Hands of this machine reach the gateway by a socket file, through their supervisors: what is in a
// sandbox reaches neither. Workers come and go, and several may share a state folder: each listens
// under a name of its own, and whoever sees that the common name leads nowhere takes it over.

export interface LocalListener {
  close(): void;
}

const NAME = 'egress';
const OF_A_WORKER = /^egress-\d+$/;
const WATCH_MS = 1_000;
const MAX_KEY_BYTES = 256;

/** Where supervisors find the gateway. */
export function gatewaySocket(folder: string): string {
  return join(folder, NAME);
}

/**
 * @param folder Of sockets, its user's alone.
 * @param serve Is given each connection with the address of the hand that it is of.
 */
export async function listenLocally(
  folder: string,
  serve: (socket: Socket, address: string) => void,
): Promise<LocalListener> {
  const own = `${NAME}-${process.pid}`;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    firstLine(socket).then(
      (key) => serve(socket, localAddress(key)),
      () => socket.destroy(),
    );
  });
  rmSync(join(folder, own), { force: true });
  server.listen(join(folder, own));
  await once(server, 'listening');
  const publish = (): void => {
    const link = join(folder, `${own}.link`);
    rmSync(link, { force: true });
    symlinkSync(own, link);
    renameSync(link, gatewaySocket(folder));
  };
  publish();
  await removeDeadSockets(folder, OF_A_WORKER);
  const timer = setInterval(() => {
    isServed(gatewaySocket(folder))
      .then((served) => {
        if (!served && server.listening) publish();
      })
      // A folder that is gone or full ends no worker: it is looked at again.
      .catch(() => {});
  }, WATCH_MS);
  timer.unref();
  return {
    close() {
      clearInterval(timer);
      server.close();
    },
  };
}

async function firstLine(socket: Socket): Promise<string> {
  let line = Buffer.alloc(0);
  while (line.length <= MAX_KEY_BYTES) {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) {
      if (socket.readableEnded || socket.destroyed) break;
      await Promise.race([once(socket, 'readable'), once(socket, 'end'), once(socket, 'close')]);
      continue;
    }
    line = Buffer.concat([line, chunk]);
    const end = line.indexOf('\n');
    if (end === -1) continue;
    socket.unshift(line.subarray(end + 1));
    return line.subarray(0, end).toString();
  }
  throw new Error('no hand was named');
}
