import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { serveHand } from '../../hand/serve.ts';
import { SANDBOX } from './layout.ts';
import { openSandboxHand } from './sandbox-hand.ts';

// The hand's daemon in a pod. Streams come and go by its socket (each is an exec of `attach`), and
// it lives as long as the pod. Its argument is the pod's uid, which is the instance; what it is for
// comes by the first message.

function main(instance: string): void {
  const { socket } = SANDBOX;
  const hand = openSandboxHand(instance);
  rmSync(socket, { force: true });
  createServer((stream) => {
    const hello = { type: 'hello', instance, sockets_blocked: false } as const;
    serveHand(hand, hello, { input: stream, output: stream });
  }).listen(socket);
}

// Loaded as a module, by whoever fills the cache of compiled code, it does nothing.
const [instance] = process.argv.slice(2);
if (import.meta.main && instance !== undefined) main(instance);
