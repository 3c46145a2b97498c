import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { egressFor } from '../../activities/hands/local/egress.ts';
import {
  birthOf,
  claim,
  isAlive,
  readRecord,
  type SupervisorRecord,
} from '../../activities/hands/local/supervisor-record.ts';
import { waitFor } from '../support/wait-for.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'record-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const ALIVE = { pid: process.pid, birth: birthOf(process.pid) ?? '' };
const DEAD = { pid: process.pid, birth: 'another boot:1' };

function record(
  instance: string,
  process_: { pid: number; birth: string } = ALIVE,
): SupervisorRecord {
  return { ...process_, instance, generation: 1, isolation: 'required', socket: 's' };
}

describe('who supervises a hand', () => {
  test('nobody yet → the first that claims', () => {
    expect(readRecord(folder)).toBeUndefined();
    expect(claim(folder, record('a'))).toBe(true);
    expect(readRecord(folder)?.instance).toBe('a');
  });

  test('one who lives → no other', () => {
    claim(folder, record('a'));
    expect(claim(folder, record('b'))).toBe(false);
    expect(readRecord(folder)?.instance).toBe('a');
  });

  test('one who is dead → the next, and the old record goes', () => {
    claim(folder, record('a', DEAD));
    expect(claim(folder, record('b'))).toBe(true);
    expect(readRecord(folder)?.instance).toBe('b');
    expect(readdirSync(folder)).toEqual(['supervisor-2.json']);
  });

  test('a number that was given since one looked → not the supervisor', () => {
    claim(folder, record('a', DEAD));
    // As after a faster one's claim, whose record was cleaned up by a third.
    writeFileSync(join(folder, 'supervisor-3.json'), JSON.stringify(record('c')));
    expect(claim(folder, record('b'))).toBe(false);
    expect(readRecord(folder)?.instance).toBe('c');
  });

  test('a record that is none of ours → read as none, and the next is claimed', () => {
    writeFileSync(join(folder, 'supervisor-1.json'), JSON.stringify({ pid: '1', instance: 7 }));
    expect(readRecord(folder)).toBeUndefined();
    expect(claim(folder, record('mine'))).toBe(true);
    expect(readRecord(folder)?.instance).toBe('mine');
  });

  test('leaves no draft behind', () => {
    claim(folder, record('a'));
    claim(folder, record('b'));
    expect(readdirSync(folder)).toEqual(['supervisor-1.json']);
  });

  test('a process that ended, also as a zombie, is not alive', async () => {
    const child = spawn('/bin/bash', ['-c', 'sleep 0 & echo $!; exec sleep 30'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const pid = child.pid ?? 0;
    const zombie = Number(await new Promise((resolve) => child.stdout.once('data', resolve)));
    const living = { pid, birth: birthOf(pid) ?? '' };
    expect(isAlive(record('a', living))).toBe(true);
    await waitFor('the zombie', () => birthOf(zombie) === undefined);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    expect(isAlive(record('a', living))).toBe(false);
  });
});

describe('the way out', () => {
  test('no host allowed → none at all', () => {
    expect(egressFor({ type: 'limited', allowed_hosts: [] })).toBeUndefined();
  });

  test('hosts allowed → these, and nobody is asked about others', () => {
    const egress = egressFor({ type: 'limited', allowed_hosts: ['example.com'] });
    expect(egress?.network).toMatchObject({
      allowedDomains: ['example.com'],
      strictAllowlist: true,
    });
  });

  test.each([
    { host: 'example.com', allowed: true },
    { host: '93.184.216.34', allowed: true },
    { host: '10.1.2.3', allowed: true },
    { host: '127.0.0.1', allowed: false },
    { host: '127.9.9.9', allowed: false },
    { host: '0.0.0.0', allowed: false },
    { host: '169.254.169.254', allowed: false },
    { host: '::1', allowed: false },
    { host: '[::1]', allowed: false },
    { host: '::ffff:127.0.0.1', allowed: false },
    { host: 'fe80::1', allowed: false },
  ])('unrestricted: $host → $allowed', async ({ host, allowed }) => {
    const ask = egressFor({ type: 'unrestricted' })?.ask;
    expect(await ask?.({ host, port: 80 })).toBe(allowed);
  });
});
