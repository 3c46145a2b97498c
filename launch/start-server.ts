import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { endProcess, isAlive } from './end-process.ts';
import { freePort } from './free-port.ts';
import { probeServer } from './probe-server.ts';
import { type ServerPorts, type ServerRecord, spawnServer } from './server-process.ts';
import type { StateFolder } from './state-folder.ts';

export const NAMESPACE = 'default';

const START_TIMEOUT_MS = 60_000;
const PROBE_TIMEOUT_MS = 2_000;
const PROBE_INTERVAL_MS = 100;
const STOP_GRACE_MS = 10_000;
const START_ATTEMPTS = 3;

export function addressOf({ port }: ServerPorts): string {
  return `127.0.0.1:${port}`;
}

/** Starts a server on the preferred ports, or on others where those are taken, saying so. */
export async function startServer(
  binary: string,
  state: StateFolder,
  preferred: ServerPorts,
  say: (line: string) => void,
): Promise<ServerRecord> {
  for (let attempt = 1; ; attempt += 1) {
    const ports = {
      port: await freePort(preferred.port),
      uiPort: await freePort(preferred.uiPort),
    };
    if (ports.port !== preferred.port) sayTaken('API', preferred.port, ports.port, say);
    if (ports.uiPort !== preferred.uiPort) sayTaken('Web UI', preferred.uiPort, ports.uiPort, say);
    try {
      return await startServerOn(binary, state, ports);
    } catch (error) {
      // Somebody may have taken a port between the look and the start.
      if (attempt >= START_ATTEMPTS) throw error;
    }
  }
}

function sayTaken(what: string, taken: number, port: number, say: (line: string) => void): void {
  say(`port ${taken} is taken by another program; the Temporal ${what} is on ${port} instead`);
}

/**
 * Starts a server on exactly these ports.
 * @throws Error with the last words of its log
 */
export async function startServerOn(
  binary: string,
  state: StateFolder,
  ports: ServerPorts,
): Promise<ServerRecord> {
  const record = await spawnServer(binary, state, ports);
  if (await waitUntilServing(record)) return record;
  await endProcess(record.pid, STOP_GRACE_MS);
  const words = await readFile(state.serverLog, 'utf8').catch(() => '');
  throw new Error(
    `the Temporal server did not start: ${lastLine(words)} (see ${state.serverLog}); ` +
      'end what uses its ports or its database, or set DROVER_STATE_FOLDER to another folder',
  );
}

/** False when its process ended, or it does not answer in time. */
export async function waitUntilServing(record: ServerRecord): Promise<boolean> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (isAlive(record.pid) && Date.now() < deadline) {
    const probe = await probeServer(addressOf(record), NAMESPACE, PROBE_TIMEOUT_MS);
    // Another program's server may hold the port while ours is failing on it.
    if (probe !== undefined && isAlive(record.pid)) return true;
    await delay(PROBE_INTERVAL_MS);
  }
  return false;
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}
