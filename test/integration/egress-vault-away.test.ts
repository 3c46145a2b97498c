import { describe, expect, test } from 'vitest';
import { Refusal } from '../../egress/refusal.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { CredentialSecret } from '../../vault/vault.ts';
import { VaultError } from '../../vault/vault-error.ts';
import { HOST, PLACEHOLDER, useVariableGateway, VALUE } from '../support/variable-gateway.ts';

// What the gateway does when a value is not to be had: nothing goes to the host.

const gateway = useVariableGateway();

describe('the value is not to be had', () => {
  const failing = (error: () => Error) => {
    gateway.credentials = gateway.knowing({ vault: { secret: () => Promise.reject(error()) } });
  };

  test.each<[string, string, number, string]>([
    ['the vault is away', FAILURE.vaultUnavailable, 503, 'it is away'],
    ['the vault is sealed', FAILURE.vaultSealed, 503, 'it is away'],
    ['the credential is gone', FAILURE.vaultCredentialNotFound, 403, 'it is away'],
    ['the key of the vault is wrong', FAILURE.vaultKeyInvalid, 502, 'it is away'],
  ])('%s → nothing goes to the host, in words', async (_what, type, status, words) => {
    failing(() => new VaultError(type as typeof FAILURE.vaultSealed, 'it is away'));
    const answered = await gateway.ask({ headers: { 'X-Key': PLACEHOLDER } });
    expect(answered.status).toBe(status);
    expect(answered.body).toContain(`credential api of vault vault-1: ${words}`);
    // Not without a placeholder either: what came back could not be read.
    expect((await gateway.ask()).status).toBe(status);
    expect(gateway.heard).toEqual([]);
  });

  test('the vault is slow → given up after ten seconds, in words', async () => {
    const asked = Date.now();
    gateway.credentials = gateway.knowing({ vault: { secret: () => new Promise(() => {}) } });
    expect(await gateway.ask()).toMatchObject({
      status: 504,
      body: '504 credential api of vault vault-1: the vault did not answer in 10 s\n',
    });
    expect(Date.now() - asked).toBeGreaterThan(9_900);
    expect(gateway.heard).toEqual([]);
  }, 30_000);

  test('something fails that should not → nothing goes to the host, and its words stay here', async () => {
    failing(() => new Error(`with ${VALUE} in it`));
    const answered = await gateway.ask();
    expect(answered).toMatchObject({ status: 502 });
    expect(JSON.stringify(answered)).not.toContain('c4n4ry');
  });

  test('the hand is held no more, or may not → nothing is read', async () => {
    let asked = 0;
    const vault = {
      async secret() {
        asked += 1;
        return gateway.secret();
      },
    };
    const words = 'session session-1 does not hold this hand any more';
    gateway.credentials = gateway.knowing({
      vault,
      async checkHeld() {
        throw new Refusal({ status: 403, reason: 'not-held', words });
      },
    });
    expect(await gateway.ask()).toMatchObject({ status: 403, body: `403 ${words}\n` });
    gateway.credentials = gateway.knowing({
      vault,
      async checkPermitted() {
        throw new VaultError(FAILURE.vaultNotPermitted, 'session session-1 may not');
      },
    });
    expect(await gateway.ask()).toMatchObject({
      status: 403,
      body: '403 vault vault-1: session session-1 may not\n',
    });
    expect(asked).toBe(0);
    expect(gateway.heard).toEqual([]);
  });

  test.each([
    [
      'of another kind',
      () => ({ type: 'static_bearer', mcp_server_url: 'x' }),
      'is of type static_bearer',
    ],
    ['too short to be told from anything', () => undefined, 'fewer than 8 characters'],
  ])('%s → refused in words', async (_what, other, words) => {
    gateway.value = 'short';
    const replaced = other();
    gateway.credentials = gateway.knowing({
      vault: {
        secret: async () => (replaced ?? gateway.secret()) as CredentialSecret,
      },
    });
    const { status, body } = await gateway.ask();
    expect(status).toBe(403);
    expect(body).toContain(words);
  });

  test('of more lines than a header has → refused in words, and a body takes it', async () => {
    gateway.value = 'a key of\nseveral lines';
    const { status, body } = await gateway.ask({ headers: { 'X-Key': PLACEHOLDER } });
    expect(status).toBe(502);
    expect(body).toContain('the value of variable API_TOKEN cannot be put into a header');
    await gateway.ask({ body: PLACEHOLDER });
    expect(gateway.heard.at(-1)?.body).toBe(gateway.value);
  });
});

test('what the log has of a refusal → no value and no path', async () => {
  gateway.credentials = gateway.knowing({
    vault: { secret: () => Promise.reject(new VaultError(FAILURE.vaultSealed, 'sealed')) },
  });
  await gateway.ask({ path: '/private' });
  expect(gateway.log.at(-1)).toMatchObject({
    status: 503,
    reason: 'vault',
    host: HOST,
    session: 'session-1',
    hand: 'hand-1',
  });
  expect(JSON.stringify(gateway.log)).not.toContain('private');
});
