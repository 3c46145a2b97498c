import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bao, createAsk } from './bao.ts';
import { freePort, stop } from './dev-server.ts';
import { waitFor } from './wait-for.ts';

/** A server of a test's own, to be sealed, stopped and started as no server that others use may be. */
export interface OwnBao extends Bao {
  seal(): Promise<void>;
  unseal(): Promise<void>;
  /** SIGKILL. What it held is on its disk. */
  kill(): Promise<void>;
  /** After `kill`: sealed, as it always starts. */
  start(): Promise<void>;
  /** Holds connections and answers nothing, until it goes on. */
  pause(): void;
  goOn(): void;
  close(): Promise<void>;
}

/** Path of OpenBao's program; in CI it must be there. */
export function findBaoBinary(): string | undefined {
  const binary = process.env['OPENBAO_BINARY'];
  if (binary !== undefined) return binary;
  const words = "set OPENBAO_BINARY to OpenBao's program";
  if (process.env['CI'] === 'true') throw new Error(`the vault suite needs it: ${words}`);
  console.warn(`skipped without it: ${words}`);
  return undefined;
}

/** Initialised, unsealed, on disk, with KV version 2 at `secret`. */
export async function startOwnBao(binary: string): Promise<OwnBao> {
  const folder = mkdtempSync(join(tmpdir(), 'drover-own-bao-'));
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const config = join(folder, 'config.hcl');
  writeFileSync(
    config,
    `storage "file" { path = "${join(folder, 'storage')}" }
     listener "tcp" {
       address = "127.0.0.1:${port}"
       tls_disable = true
     }
     api_addr = "${address}"`,
  );
  let child: ChildProcess | undefined;
  const anyone = createAsk(address, '');
  const start = async (): Promise<void> => {
    child = spawn(binary, ['server', `-config=${config}`], { stdio: 'ignore' });
    await waitFor('OpenBao to answer', () => anyone('GET', 'sys/init').catch(() => false), 30_000);
  };
  await start();
  const made = await anyone('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 });
  const { keys_base64: [key] = [], root_token: token = '' } = made as {
    readonly keys_base64?: readonly string[];
    readonly root_token?: string;
  };
  const ask = createAsk(address, token);
  const unseal = async (): Promise<void> => {
    await anyone('PUT', 'sys/unseal', { key });
    await waitFor('OpenBao to be active', () => ask('GET', 'sys/mounts').catch(() => false));
  };
  await unseal();
  await ask('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  // The mount is made ready after it is there.
  await waitFor('the mount to be ready', () =>
    ask('POST', 'secret/data/ready', { data: { is: true } }).catch(() => false),
  );
  return {
    ...{ address, token, mount: 'secret', ask, start, unseal },
    async seal() {
      await ask('PUT', 'sys/seal');
    },
    kill: async () => child && (await stop(child, 'SIGKILL')),
    pause: () => void child?.kill('SIGSTOP'),
    goOn: () => void child?.kill('SIGCONT'),
    async close() {
      if (child !== undefined) await stop(child, 'SIGKILL');
      rmSync(folder, { recursive: true });
    },
  };
}
