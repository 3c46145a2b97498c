import { once } from 'node:events';
import { chmodSync, renameSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort } from '../support/dev-server.ts';
import { type EgressProcess, startEgress } from '../support/egress-process.ts';
import { waitFor } from '../support/wait-for.ts';

// A gateway of its own process, with nobody to ask: no Temporal server, no vault.

const NOBODY = '127.0.0.1:1';

let egress: EgressProcess;
let health: string;
let upstream: Server;

beforeEach(async () => {
  const port = await freePort();
  health = `http://127.0.0.1:${port}`;
  upstream = createServer().listen(0, '127.0.0.1');
  egress = await startEgress('127.0.0.0/8', {
    DROVER_HEALTH_PORT: `${port}`,
    TEMPORAL_ADDRESS: NOBODY,
    DROVER_VAULT: 'kv://secret/drover',
    VAULT_ADDR: `http://${NOBODY}`,
    VAULT_TOKEN: 'none',
  });
  await waitFor('the health of the gateway', async () => (await ask('/live')) !== undefined);
});

afterEach(async () => {
  await egress.close();
  upstream.close();
});

/** Undefined: nobody answers. */
async function ask(path: string): Promise<string | undefined> {
  const response = await fetch(health + path).catch(() => undefined);
  return response && `${response.status} ${(await response.text()).trim()}`;
}

/** A tunnel through the gateway, which stays open. */
async function openTunnel() {
  const target = `127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  const shown = Buffer.from(`hand:${egress.token({ hosts: [target] })}`).toString('base64');
  const socket = connect(egress.port, '127.0.0.1');
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n`);
  socket.write(`Proxy-Authorization: Basic ${shown}\r\n\r\n`);
  const [answer] = await once(socket, 'data');
  expect(String(answer)).toMatch(/^HTTP\/1.1 200/);
  return socket;
}

test('it serves hosts without a Temporal server and a vault → ready, and alive', async () => {
  expect(await ask('/ready')).toBe('200 ok');
  expect(await ask('/live')).toBe('200 ok');
  (await openTunnel()).destroy();
});

test('its keys cannot be read any more → not ready, and alive; they are back → ready', async () => {
  renameSync(egress.keysPath, `${egress.keysPath}-away`);
  expect(await ask('/ready')).toMatch(/^503 the gateway knows no tokens: .*keys/);
  expect(await ask('/live')).toBe('200 ok');
  renameSync(`${egress.keysPath}-away`, egress.keysPath);
  expect(await ask('/ready')).toBe('200 ok');
  chmodSync(egress.keysPath, 0o644);
  expect(await ask('/ready')).toMatch(/^503 .*644|^503 .*mode/);
});

test('it is told to stop → not ready while it lets a tunnel end, and alive', async () => {
  const tunnel = await openTunnel();
  egress.process.kill('SIGTERM');
  await waitFor('the gateway to be unready', async () => {
    const answer = await ask('/ready');
    return answer !== '200 ok' && answer;
  });
  expect(await ask('/ready')).toBe('503 the gateway is stopping');
  expect(await ask('/live')).toBe('200 ok');
  const ended = once(egress.process, 'exit');
  tunnel.destroy();
  expect(await ended).toEqual([0, null]);
});
