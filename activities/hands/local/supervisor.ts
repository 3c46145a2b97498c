import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { endProcesses } from '../../../hand/end-processes.ts';
import type { HandHello } from '../../../hand/wire.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import type { HandFolder } from './hand-folder.ts';
import { missing } from './isolation.ts';
import { markedProcesses } from './marked-processes.ts';
import { createRelay, type Relay } from './relay.ts';
import { readRecord } from './supervisor-record.ts';
import type { SupervisorSettings } from './supervisor-settings.ts';

/** How soon a hand follows its state folder when that is removed. */
const RECORD_CHECK_MS = 2_000;
/** Time in which a daemon must answer. */
const START_MS = 20_000;

/**
 * Supervises one hand: holds its daemon by the standard streams, lets workers in by a unix socket,
 * keeps the egress proxies alive, and ends with everything when it is told to, when the daemon ends,
 * when no call has come for the idle time, or when its record is gone.
 *
 * @returns when the hand answers, with a promise of its end.
 * @throws {IsolationMissingError}
 */
export async function supervise(
  settings: SupervisorSettings,
  folder: HandFolder,
  socket: string,
): Promise<{ readonly ended: Promise<string> }> {
  const end = Promise.withResolvers<string>();
  const daemon = await startDaemon(settings, folder);
  const lease = createLease(settings.idle_ms, () => end.resolve('no call came for its idle time'));
  const relay = createRelay(daemon, {
    onCalls: lease.onCalls,
    onEndRequest: () => end.resolve('released'),
    onNonsense: () => end.resolve('its daemon talks nonsense'),
  });
  const errors = collectErrors(daemon);
  const watch = setInterval(() => {
    if (readRecord(folder.root)?.instance !== settings.instance) end.resolve('its record is gone');
  }, RECORD_CHECK_MS);
  process.once('SIGTERM', () => end.resolve('told to end'));
  void daemon.ended.then(() => end.resolve('its daemon ended'));

  const server = createServer((connection) => relay.join(connection));
  await listen(server, socket);
  const stop = async (reason: string): Promise<string> => {
    clearInterval(watch);
    server.close();
    relay.close();
    rmSync(socket, { force: true });
    await endDaemon(daemon, settings.instance);
    return reason;
  };
  try {
    await greeted(relay, end.promise, settings, errors);
    lease.start();
  } catch (error) {
    await stop('it did not start');
    throw error;
  }
  return { ended: end.promise.then(stop) };
}

/** Waits for the daemon's first word, and checks that it is where it should be. */
async function greeted(
  relay: Relay,
  ended: Promise<string>,
  settings: SupervisorSettings,
  errors: () => string,
): Promise<void> {
  const timer = new AbortController();
  const silent = delay(START_MS, undefined, { signal: timer.signal }).catch(() => undefined);
  const hello = await Promise.race([relay.hello, ended.then(() => undefined), silent]);
  timer.abort();
  if (hello === undefined) throw startFailure(settings, errors());
  const opening = settings.isolation === 'required' ? openingOf(hello) : undefined;
  if (opening !== undefined) throw missing(opening);
}

/** Where the sandbox is not closed, by the daemon's own attempt. */
function openingOf(hello: HandHello): string | undefined {
  if (!hello.sockets_blocked) return 'unix sockets are open inside the sandbox';
  if (hello.kernel_settings_blocked !== true) {
    return 'kernel settings of this machine are open inside the sandbox';
  }
  return undefined;
}

function startFailure(settings: SupervisorSettings, errors: string): Error {
  const isRefused =
    settings.isolation === 'required' &&
    /bwrap:|apply-seccomp|unshare:|mount:|setpriv/.test(errors);
  if (isRefused) return missing(errors);
  return new Error(`The hand's daemon did not start: ${errors || 'it said nothing'}`);
}

/** Copies what the daemon complains of to the log, and keeps its end. */
function collectErrors(daemon: Daemon): () => string {
  let text = '';
  daemon.errors.setEncoding('utf8');
  daemon.errors.on('data', (chunk: string) => {
    text = `${text}${chunk}`.slice(-2_000);
    process.stderr.write(chunk);
  });
  return () => text.trim();
}

async function endDaemon(daemon: Daemon, instance: string): Promise<void> {
  daemon.kill();
  await daemon.ended;
  await daemon.close();
  await endProcesses(() => markedProcesses(instance), { graceMs: 0 });
}

/** Ends the hand `idleMs` after its start, which may take long, or after its last call ended. */
function createLease(
  idleMs: number,
  onExpire: () => void,
): { start(): void; onCalls(running: number): void } {
  let timer: NodeJS.Timeout | undefined;
  let isRunning = false;
  const onCalls = (running: number): void => {
    clearTimeout(timer);
    isRunning = running > 0;
    if (!isRunning) timer = setTimeout(onExpire, idleMs);
  };
  return {
    start: () => {
      if (!isRunning) onCalls(0);
    },
    onCalls,
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
}
