import { spawn } from 'node:child_process';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { SEARCH_ATTRIBUTES } from '../protocol/search-attributes.ts';
import { DYNAMIC_CONFIG } from './dynamic-config.ts';
import { openLog } from './open-log.ts';
import { SQLITE_PRAGMAS } from './sqlite-pragmas.ts';
import type { StateFolder } from './state-folder.ts';

export interface ServerPorts {
  readonly port: number;
  readonly uiPort: number;
}

/** The server of a state folder: where it listens, and its process. */
const ServerRecord = z.object({ pid: z.int(), port: z.int(), uiPort: z.int() });
export type ServerRecord = z.infer<typeof ServerRecord>;

export async function readServerRecord(state: StateFolder): Promise<ServerRecord | undefined> {
  try {
    const text = await readFile(state.serverRecord, 'utf8');
    return ServerRecord.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Starts a server in a process group of its own: Ctrl-C in a terminal must not reach it first. */
export async function spawnServer(
  binary: string,
  state: StateFolder,
  ports: ServerPorts,
): Promise<ServerRecord> {
  const log = await openLog(state.serverLog);
  try {
    const child = spawn(binary, serverArguments(state, ports), {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: { ...process.env, TEMPORAL_VERSION_CHECK_DISABLED: '1' },
    });
    const pid = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('spawn', () => resolve(child.pid ?? 0));
    });
    child.unref();
    const record = { pid, port: ports.port, uiPort: ports.uiPort };
    await writeFile(`${state.serverRecord}.new`, JSON.stringify(record));
    await rename(`${state.serverRecord}.new`, state.serverRecord);
    return record;
  } finally {
    await log.close();
  }
}

function serverArguments(state: StateFolder, { port, uiPort }: ServerPorts): string[] {
  return [
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port)],
    ...['--ui-port', String(uiPort), '--ui-disable-news-fetch'],
    ...['--db-filename', state.database, '--log-level', 'warn'],
    ...SQLITE_PRAGMAS.flatMap((pragma) => ['--sqlite-pragma', pragma]),
    ...Object.values(SEARCH_ATTRIBUTES).flatMap(({ name }) => [
      '--search-attribute',
      `${name}=Keyword`,
    ]),
    ...DYNAMIC_CONFIG.flatMap((setting) => ['--dynamic-config-value', setting]),
  ];
}
