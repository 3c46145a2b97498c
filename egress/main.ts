import { lookup } from 'node:dns/promises';
import type { AddressInfo } from 'node:net';
import { readKeys } from './keys.ts';
import { createEgressProxy } from './proxy.ts';
import { readSettings } from './settings.ts';

const STOP_MS = 25_000;

async function main(): Promise<void> {
  const { keysPath, port, privateNetworks } = readSettings(process.env);
  // Said at once, not with the first request.
  readKeys(keysPath);
  const proxy = createEgressProxy({
    readKeys: () => readKeys(keysPath),
    resolve: (name) => lookup(name, { all: true }),
    privateNetworks,
    connectMs: 15_000,
    mostPerHand: 128,
    idleMs: 15 * 60_000,
    headersMs: 10_000,
    log: say,
  });
  await new Promise<void>((resolve, reject) => {
    proxy.server.once('error', reject);
    proxy.server.listen(port, () => resolve());
  });
  say({ event: 'listening', port: (proxy.server.address() as AddressInfo).port });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void proxy.stop(STOP_MS));
  }
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

main().catch((error: unknown) => {
  console.error(`drover egress: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
});
