import { setTimeout as delay } from 'node:timers/promises';
import { endProcess, isAlive } from './end-process.ts';
import { prepareNamespace } from './prepare-namespace.ts';
import { processArguments } from './process-arguments.ts';
import { readServerRecord, type ServerRecord } from './server-process.ts';
import {
  addressOf,
  NAMESPACE,
  startServer,
  startServerOn,
  waitUntilServing,
} from './start-server.ts';
import type { StateFolder } from './state-folder.ts';

export interface DevServer {
  /** `host:port` of the API. */
  readonly address: string;
  readonly uiUrl: string;
  /** It ran already when we came. */
  readonly adopted: boolean;
  stop(): Promise<void>;
}

export interface DevServerOptions {
  readonly state: StateFolder;
  /** Called only when a server has to be started. */
  readonly findBinary: () => Promise<string>;
  readonly say: (line: string) => void;
  /** The server died and cannot be started again. */
  readonly onLost: (error: unknown) => void;
}

const PREFERRED = { port: 7233, uiPort: 8233 } as const;
const WATCH_INTERVAL_MS = 250;
const STOP_GRACE_MS = 10_000;
const RESTARTS = 5;

/**
 * The development server of a state folder: adopted when one runs, else started. While this process
 * lives, a server that dies is started again at the same place.
 */
export async function runDevServer(options: DevServerOptions): Promise<DevServer> {
  const { state, say, findBinary } = options;
  const known = await readServerRecord(state);
  const adopted = known !== undefined && (await isServing(known, state));
  let record = adopted
    ? known
    : await startServer(await findBinary(), state, known ?? PREFERRED, say);
  await prepareNamespace(addressOf(record), NAMESPACE);
  const stopping = new AbortController();
  const watching = watch().catch(options.onLost);

  async function watch(): Promise<void> {
    while (!stopping.signal.aborted) {
      await delay(WATCH_INTERVAL_MS);
      if (stopping.signal.aborted || isAlive(record.pid)) continue;
      say('the Temporal server ended; starting it again on the same data');
      record = await restart(options, record);
      say('the Temporal server runs again; sessions go on');
    }
  }

  return {
    address: addressOf(record),
    uiUrl: `http://127.0.0.1:${record.uiPort}`,
    adopted,
    async stop() {
      stopping.abort();
      await watching;
      await endProcess(record.pid, STOP_GRACE_MS);
    },
  };
}

/** Whether the recorded server runs for this folder. One that hangs is ended: two would share a database. */
async function isServing(record: ServerRecord, state: StateFolder): Promise<boolean> {
  if (!isAlive(record.pid)) return false;
  // The pid may have been given to another program since.
  if (!(await processArguments(record.pid)).includes(state.database)) return false;
  if (await waitUntilServing(record)) return true;
  await endProcess(record.pid, STOP_GRACE_MS);
  return false;
}

/** On the same ports: worker and links know no others. */
async function restart(options: DevServerOptions, last: ServerRecord): Promise<ServerRecord> {
  const binary = await options.findBinary();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startServerOn(binary, options.state, last);
    } catch (error) {
      if (attempt >= RESTARTS) throw error;
    }
  }
}
