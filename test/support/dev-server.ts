import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { DYNAMIC_CONFIG } from '../../launch/dynamic-config.ts';
import { findTemporalBinary } from '../../launch/temporal-binary.ts';
import { SEARCH_ATTRIBUTES } from '../../protocol/search-attributes.ts';
import { waitFor } from './wait-for.ts';

export interface DevServer {
  readonly address: string;
  stop(): Promise<void>;
}

/**
 * A dev server of a test's own, for settings that must not reach other tests.
 *
 * @param folder Where it keeps `temporal.db` and `temporal.log`. Default: nowhere.
 */
export async function startDevServer(
  dynamicConfig: readonly string[] = [],
  folder?: string,
): Promise<DevServer> {
  const { path } = await findTemporalBinary();
  const port = await freePort();
  const log = folder === undefined ? 'ignore' : openSync(join(folder, 'temporal.log'), 'a');
  const attributes = Object.values(SEARCH_ATTRIBUTES).map(({ name }) => `${name}=Keyword`);
  const child = spawn(
    path,
    [
      ...['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--port', String(port)],
      ...['--log-level', folder === undefined ? 'error' : 'info'],
      ...(folder === undefined ? [] : ['--db-filename', join(folder, 'temporal.db')]),
      ...attributes.flatMap((attribute) => ['--search-attribute', attribute]),
      ...[...DYNAMIC_CONFIG, ...dynamicConfig].flatMap((value) => [
        '--dynamic-config-value',
        value,
      ]),
    ],
    { stdio: ['ignore', log, log] },
  );
  if (log !== 'ignore') closeSync(log);
  const address = `127.0.0.1:${port}`;
  await waitFor(`the dev server on ${address}`, () => isServing(address), 30_000);
  return { address, stop: () => stop(child) };
}

async function isServing(address: string): Promise<boolean> {
  try {
    const connection = await Connection.connect({ address, connectTimeout: 1_000 });
    await connection.workflowService.describeNamespace({ namespace: 'default' });
    await connection.close();
    return true;
  } catch {
    return false;
  }
}

/** Ends a child and waits until it is gone. */
export async function stop(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
