import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { statSync, writeFileSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { instanceIn } from '../../hand/visit.ts';
import { verifyConfinement } from './confined.ts';
import { SANDBOX } from './layout.ts';
import { relayGateway } from './relay-gateway.ts';
import { openSandboxHand } from './sandbox-hand.ts';
import { serveWorkers } from './serve-workers.ts';

// The hand's daemon in a container that nobody can start programs in. It brings its streams to the
// sockets of the workers, which commands cannot: they are confined, and this process is out of their
// reach (`verifySealed`). It is one session's hand at most, and ends with it; the container is then
// started anew, empty. Its argument is the pipe by which the first process hears that it lives.

const TRANSFER = fileURLToPath(new URL('./transfer.ts', import.meta.url));
const HEALTHY = `${SANDBOX.state}/healthy`;
const BEAT_MS = 1_000;

function main(beat: number): void {
  setInterval(() => writeSync(beat, '.'), BEAT_MS);
  verifySealed();
  verifyConfinement();
  const instance = instanceIn(hostname(), randomUUID());
  const hand = openSandboxHand(instance);
  // Everything else of the container ends with this process.
  const end = (): void => process.exit(0);
  serveWorkers({ instance, hand, doors: SANDBOX.doors, transfer, end });
  relayGateway({ port: SANDBOX.gatewayPort, path: SANDBOX.gateway, instance });
  writeFileSync(HEALTHY, '');
}

/** One run of the transfer program, ended when its stream is. */
function transfer(stream: Socket): void {
  const child = spawn(process.execPath, [TRANSFER, '--serve'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  for (const end of [child.stdin, child.stdout]) end.on('error', () => {});
  child.on('error', () => stream.destroy());
  stream.pipe(child.stdin);
  child.stdout.pipe(stream);
  stream.on('close', () => void child.kill('SIGKILL'));
}

/**
 * Commands have this process's user: they could read its memory and write to it, and so open what is
 * closed to them. The kernel keeps them from a program whose file its user cannot read.
 *
 * @throws Error when it does not.
 */
function verifySealed(): void {
  if (statSync('/proc/self/environ').uid !== process.getuid?.()) return;
  throw new Error(`${process.execPath} must be a program that its user can run but not read.`);
}

// Loaded as a module, by whoever fills the cache of compiled code, it does nothing.
const [beat] = process.argv.slice(2);
if (import.meta.main && beat !== undefined) main(Number(beat));
