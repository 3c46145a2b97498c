import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { readEnvironment } from '../../workers/env.ts';
import { type HealthOptions, type Polling, serveHealth } from '../../workers/health.ts';

let server: Server | undefined;
afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  if (server?.listening) await once(server, 'close');
});

type State = ReturnType<Polling['workers'][number]['getState']>;

function ask(path: string, states: State[], askTemporal = async (): Promise<void> => {}) {
  const workers = states.map((state) => ({ getState: () => state }));
  return askOf(path, { polling: { workers, askTemporal }, gateway: null });
}

async function askOf(path: string, parts: Omit<HealthOptions, 'port'>): Promise<string> {
  server = await serveHealth({ port: 0, ...parts });
  const { port } = server.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return `${response.status} ${(await response.text()).trim()}`;
}

const isAway = (): Promise<void> => Promise.reject(new Error('connection refused'));

test('polls, and the server answers → ready', async () => {
  expect(await ask('/ready', ['RUNNING', 'RUNNING'])).toBe('200 ok');
});

test('one of its workers is stopping → not ready, and alive', async () => {
  expect(await ask('/ready', ['RUNNING', 'DRAINING'])).toBe('503 workers are RUNNING, DRAINING');
  expect(await ask('/live', ['RUNNING', 'DRAINING'])).toBe('200 ok');
});

test('the server is away → not ready, and alive: a new process would reach it no better', async () => {
  expect(await ask('/ready', ['RUNNING'], isAway)).toMatch(/^503 .*connection refused/);
  expect(await ask('/live', ['RUNNING'], isAway)).toBe('200 ok');
});

test('the server never answers → not ready', async () => {
  expect(await ask('/ready', ['RUNNING'], () => new Promise(() => {}))).toMatch(
    /^503 .*does not answer$/,
  );
});

test('a worker has failed → not alive', async () => {
  expect(await ask('/live', ['RUNNING', 'FAILED'])).toBe('503 a worker has failed');
});

test('workers that poll, and a gateway that does not serve → not ready, and alive', async () => {
  const parts = {
    polling: { workers: [{ getState: () => 'RUNNING' as const }], askTemporal: async () => {} },
    gateway: { whyNotServing: () => 'the gateway is stopping' },
  };
  expect(await askOf('/ready', parts)).toBe('503 the gateway is stopping');
  expect(await askOf('/live', parts)).toBe('200 ok');
});

test.each(['0', '65536', 'http', '1.5'])('port %s → refused by its name', (port) => {
  expect(() => readEnvironment({ DROVER_HEALTH_PORT: port })).toThrow(/DROVER_HEALTH_PORT/);
});

test('port 8080, or none', () => {
  expect(readEnvironment({ DROVER_HEALTH_PORT: '8080' }).healthPort).toBe(8080);
  expect(readEnvironment({}).healthPort).toBeNull();
});
