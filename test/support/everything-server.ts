import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../launch/free-port.ts';

const PROGRAM = fileURLToPath(
  new URL(
    '../../node_modules/@modelcontextprotocol/server-everything/dist/index.js',
    import.meta.url,
  ),
);

export interface EverythingServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** The reference server of the protocol, as a process of its own. */
export async function startEverythingServer(
  transport: 'streamableHttp' | 'sse',
): Promise<EverythingServer> {
  const port = await freePort(0);
  const child = spawn(process.execPath, [PROGRAM, transport], {
    env: { PATH: process.env['PATH'], PORT: String(port) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await listening(child);
  const path = transport === 'sse' ? '/sse' : '/mcp';
  return {
    url: `http://127.0.0.1:${port}${path}`,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

function listening(child: ChildProcess): Promise<void> {
  let said = '';
  return new Promise((resolve, reject) => {
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (/on port \d+/.test(said)) resolve();
    });
    child.once('exit', () => reject(new Error(`the everything server ended: ${said}`)));
  });
}
