import { once } from 'node:events';
import { existsSync, mkdtempSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { gatewaySocket, type LocalListener, listenLocally } from '../../egress/local-listener.ts';
import { waitFor } from '../support/wait-for.ts';

// How hands of this machine find the gateway, whichever workers come and go.

let folder: string;
let listener: LocalListener | undefined;
let served: { readonly address: string; readonly socket: Socket }[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'drv-'));
  served = [];
});
afterEach(() => {
  listener?.close();
  listener = undefined;
  for (const { socket } of served) socket.destroy();
  rmSync(folder, { recursive: true });
});

async function listen(): Promise<void> {
  listener = await listenLocally(folder, (socket, address) => {
    served.push({ address, socket });
    socket.end('served');
  });
}

async function ask(): Promise<string> {
  const socket = connect(gatewaySocket(folder));
  await once(socket, 'connect');
  socket.write('hand-1\n');
  return text(socket);
}

/** A socket file behind which nobody is, as a killed worker leaves one. */
async function leaveDead(name: string): Promise<void> {
  const server = createServer();
  server.listen(join(folder, 'alive'));
  await once(server, 'listening');
  renameSync(join(folder, 'alive'), join(folder, name));
  server.close();
  await once(server, 'close');
}

test('a connection → is of the hand that was presented', async () => {
  await listen();
  expect(await ask()).toBe('served');
  expect(served.map(({ address }) => address)).toEqual(['local:hand-1']);
});

test('what is no presentation → closed, and nothing is served', async () => {
  await listen();
  for (const bytes of ['x'.repeat(1_000), '']) {
    const socket = connect(gatewaySocket(folder));
    socket.on('error', () => {});
    socket.end(bytes);
    socket.resume();
    await once(socket, 'close');
  }
  expect(served).toEqual([]);
});

test('a killed worker left its file → it is taken away, and the name leads to who lives', async () => {
  await leaveDead('egress-1');
  symlinkSync('egress-1', gatewaySocket(folder));
  await listen();
  expect(existsSync(join(folder, 'egress-1'))).toBe(false);
  expect(await ask()).toBe('served');
});

test('who had the name is killed → who lives takes it over', async () => {
  await listen();
  await leaveDead('egress-1');
  symlinkSync('egress-1', join(folder, 'link'));
  renameSync(join(folder, 'link'), gatewaySocket(folder));
  await expect(ask()).rejects.toThrow(/ECONNREFUSED/);
  await waitFor(
    'the name to lead to who lives',
    () => readlinkSync(gatewaySocket(folder)) !== 'egress-1',
  );
  expect(await ask()).toBe('served');
});

test('its folder is away for a while → the worker outlives that, and is found again', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    await listen();
    renameSync(folder, `${folder}-away`);
    vi.advanceTimersByTime(1_000);
    // It fails after the listener's own look has.
    await expect(ask()).rejects.toThrow('ENOENT');
    await new Promise((resolve) => setImmediate(resolve));
    renameSync(`${folder}-away`, folder);
    expect(await ask()).toBe('served');
  } finally {
    listener?.close();
    vi.useRealTimers();
  }
});
