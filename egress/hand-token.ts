import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { VariableGrant } from '../protocol/grant.ts';
import type { EgressKey, EgressKeys } from './keys.ts';
import { Refusal } from './refusal.ts';

// What a hand shows to the proxy. It says all that the proxy must know, so the proxy keeps nothing.
//
// A token holds as long as its hand may live, since what a hand was told at its start holds for its
// life and a session may be quiet for hours: a shorter one would have to be renewed in programs that
// have read it already. It ends with its hand all the same, because it is good only from the address
// of the hand's own pod, which nobody else can send from while the pod is there, and which it loses
// when it goes. So there is no list of ended hands to keep, and a token that leaks opens nothing.
// Before a credential is used for it, its session is asked besides whether it holds the hand still.

/** A repository that the hand reaches by its name, with a credential that it never sees. */
const TokenRepository = z.strictObject({
  /** `<name>.git` below `/git/`. */
  name: z.string(),
  url: z.string(),
  vault_id: z.string(),
  credential_id: z.string(),
  /** As in `RepositoryPush`. */
  push: z.strictObject({
    branches: z.array(z.string()),
    tags: z.array(z.string()),
    force: z.boolean(),
    delete: z.boolean(),
  }),
});
export type TokenRepository = z.infer<typeof TokenRepository>;

export const HandToken = z.strictObject({
  session: z.string(),
  /** Run id of the session's first run. */
  chain_id: z.string(),
  /** The hand's name in its session, and its generation: while that is held, credentials are given. */
  name: z.string(),
  generation: z.int(),
  /** The hand's key. */
  hand: z.string(),
  /** From where it is good: those of the hand's pod, or that of its relay (`localAddress`). */
  addresses: z.array(z.string()).min(1),
  /** Entries of `networking.allowed_hosts`; null: all public ones. */
  hosts: z.array(z.string()).nullable(),
  variables: z.array(VariableGrant).default([]),
  repositories: z.array(TokenRepository).default([]),
  /** Seconds since 1970. */
  expires: z.int(),
});
export type HandToken = z.infer<typeof HandToken>;
export type HandTokenInput = z.input<typeof HandToken>;

const VERSION = 'd1';

/** The same token for the same hand and key, so that a hand can be configured again. */
export function signToken({ signing }: EgressKeys, token: HandTokenInput): string {
  const payload = Buffer.from(JSON.stringify(HandToken.parse(token))).toString('base64url');
  const signed = `${VERSION}.${signing.id}.${payload}`;
  return `${signed}.${signatureOf(signed, signing).toString('base64url')}`;
}

/** @throws {Refusal} It is no token, or none of these keys signed it. */
export function readToken({ byId }: EgressKeys, text: string): HandToken {
  const [version, id = '', payload = '', signature = '', ...more] = text.split('.');
  const key = byId.get(id);
  if (version !== VERSION || more.length > 0) throw refused('credentials are no token of a hand');
  if (key === undefined) throw refused('the token was signed with a key that is gone');
  const expected = signatureOf(`${VERSION}.${id}.${payload}`, key);
  const given = Buffer.from(signature, 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw refused('the token is not signed by its key');
  }
  return HandToken.parse(JSON.parse(Buffer.from(payload, 'base64url').toString()));
}

function signatureOf(signed: string, { secret }: EgressKey): Buffer {
  return createHmac('sha256', secret).update(signed).digest();
}

function refused(words: string): Refusal {
  return new Refusal({ status: 407, reason: 'credentials', words });
}
