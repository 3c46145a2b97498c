import { join } from 'node:path';
import { DYNAMIC_CONFIG } from '../../launch/dynamic-config.ts';
import { freePort } from '../../launch/free-port.ts';
import { probeServer } from '../../launch/probe-server.ts';
import { SQLITE_PRAGMAS } from '../../launch/sqlite-pragmas.ts';
import { findTemporalBinary } from '../../launch/temporal-binary.ts';
import { SEARCH_ATTRIBUTES } from '../../protocol/search-attributes.ts';
import { startTied } from './tied-process.ts';

export interface BenchServer {
  readonly address: string;
  stop(): Promise<void>;
}

export interface BenchServerOptions {
  readonly folder: string;
  /** `KEY=VALUE` settings beside those of every server that Drover starts. */
  readonly settings?: readonly string[];
}

const START_TIMEOUT_MS = 30_000;
const PROBE_TIMEOUT_MS = 1_000;

/** A Temporal server of our own on the loopback interface: what `npm start` starts, without Web UI. */
export async function startBenchServer(options: BenchServerOptions): Promise<BenchServer> {
  const { path: command } = await findTemporalBinary();
  const port = await freePort(0);
  const address = `127.0.0.1:${port}`;
  const logPath = join(options.folder, 'temporal.log');
  const server = startTied({
    name: 'the Temporal server',
    command,
    arguments: [
      ...['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--port', String(port)],
      ...['--db-filename', join(options.folder, 'temporal.db'), '--log-level', 'warn'],
      ...SQLITE_PRAGMAS.flatMap((pragma) => ['--sqlite-pragma', pragma]),
      ...Object.values(SEARCH_ATTRIBUTES).flatMap(({ name }) => [
        '--search-attribute',
        `${name}=Keyword`,
      ]),
      ...[...DYNAMIC_CONFIG, ...(options.settings ?? [])].flatMap((setting) => [
        '--dynamic-config-value',
        setting,
      ]),
    ],
    environment: { ...process.env, TEMPORAL_VERSION_CHECK_DISABLED: '1' },
    logPath,
  });
  let hasEnded = false;
  void server.exited.then(() => {
    hasEnded = true;
  });
  const deadline = Date.now() + START_TIMEOUT_MS;
  while ((await probeServer(address, 'default', PROBE_TIMEOUT_MS)) === undefined) {
    if (hasEnded || Date.now() > deadline) {
      await server.kill();
      throw new Error(`the Temporal server did not start; its log is ${logPath}`);
    }
  }
  return { address, stop: () => server.stop() };
}
