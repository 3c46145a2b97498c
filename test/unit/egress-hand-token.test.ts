import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readToken, signToken } from '../../egress/hand-token.ts';
import { readKeys } from '../../egress/keys.ts';
import { readEgressSettings } from '../../egress/settings.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'drover-egress-'));
afterAll(() => rmSync(FOLDER, { recursive: true }));

const SECRETS = ['a', 'b'].map((letter) => Buffer.from(letter.repeat(32)).toString('base64'));
const [A = '', B = ''] = SECRETS;
const TOKEN = {
  session: 'session-1',
  chain_id: 'chain-1',
  name: 'main',
  generation: 1,
  hand: 'hand-1',
  variables: [],
  repositories: [],
  addresses: ['10.0.0.7'],
  hosts: ['example.com'],
  expires: 2_000_000_000,
};

function keysFile(text: string, mode = 0o600): string {
  const path = join(FOLDER, crypto.randomUUID());
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const keysOf = (text: string) => readKeys(keysFile(text));

describe('a token', () => {
  test('reads as it was signed, and is the same each time', () => {
    const keys = keysOf(`k1 ${A}`);
    expect(readToken(keys, signToken(keys, TOKEN))).toEqual(TOKEN);
    expect(signToken(keys, TOKEN)).toBe(signToken(keys, TOKEN));
  });

  test('keys are rotated → the first signs, all that are left are good', () => {
    const old = signToken(keysOf(`k1 ${A}`), TOKEN);
    const both = keysOf(`k2 ${B}\nk1 ${A}`);
    expect(readToken(both, old)).toEqual(TOKEN);
    expect(signToken(both, TOKEN)).toMatch(/^d1\.k2\./);
    expect(() => readToken(keysOf(`k2 ${B}`), old)).toThrow('signed with a key that is gone');
  });

  const forged = Buffer.from(JSON.stringify({ ...TOKEN, hosts: ['evil.net'] })).toString(
    'base64url',
  );
  test.each([
    ['another payload', (token: string) => token.replace(/^(d1\.k1)\.[^.]+/, `$1.${forged}`)],
    ['another id of the key', (token: string) => token.replace('k1', 'k2')],
    ['no signature', (token: string) => token.replace(/[^.]+$/, '')],
    ['half a signature', (token: string) => token.slice(0, -20)],
    ['one part more', (token: string) => `${token}.x`],
    ['another version', (token: string) => token.replace('d1', 'd2')],
    ['nothing', () => ''],
    ['a key that is no own property', (token: string) => token.replace('k1', 'constructor')],
  ])('%s → refused', (_what, change) => {
    const keys = keysOf(`k1 ${A}\nk2 ${B}`);
    expect(() => readToken(keys, change(signToken(keys, TOKEN)))).toThrow(
      expect.objectContaining({ status: 407, reason: 'credentials' }),
    );
  });
});

describe('the file of keys', () => {
  test('comments and empty lines are left out', () => {
    expect([...keysOf(`# of May\n\nk1 ${A}\n`).byId.keys()]).toEqual(['k1']);
  });

  test.each([
    ['', 'has no key in it'],
    ['k1', 'line 1: a key is written as <id> <base64>'],
    [`# x\n${A}`, 'line 2: a key is written as'],
    [`k.1 ${A}`, 'line 1: a key is written as'],
    [`k1 ${A.slice(0, 40)}`, 'line 1: key k1 has 30 bytes and needs 32'],
    [`k1 ${A}\nk1 ${B}`, 'two keys of one id'],
  ])('%j → %s', (text, words) => {
    expect(() => keysOf(text)).toThrow(words);
    expect(() => keysOf(text)).not.toThrow(A.slice(0, 40));
  });

  test.each([0o644, 0o604, 0o660, 0o602])('mode %o → refused', (mode) => {
    expect(() => readKeys(keysFile(`k1 ${A}`, mode))).toThrow(`has mode ${mode.toString(8)}`);
  });

  test.each([0o600, 0o400, 0o440, 0o640])('mode %o → taken', (mode) => {
    expect(readKeys(keysFile(`k1 ${A}`, mode)).signing.id).toBe('k1');
  });

  test('is missing → its path', () => {
    expect(() => readKeys('/no/such/keys')).toThrow('/no/such/keys cannot be read (ENOENT)');
  });
});

test.each([
  [{ DROVER_EGRESS_PORT: '70000' }, 'environment.DROVER_EGRESS_PORT: '],
  [
    { DROVER_EGRESS_PRIVATE_NETWORKS: '10.0.0.0/8, x' },
    'environment.DROVER_EGRESS_PRIVATE_NETWORKS: "x" is no network',
  ],
])('settings %j → %s', (variables, words) => {
  expect(() => readEgressSettings(variables, '/state')).toThrow(words);
});
