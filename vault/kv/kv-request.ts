import { FAILURE } from '../../protocol/failure.ts';
import type { KvSettings } from '../settings.ts';
import { VaultError } from '../vault-error.ts';

export interface KvAnswer {
  readonly status: number;
  /** Undefined when it is no JSON. */
  readonly body: unknown;
  /** What the server says is wrong. */
  readonly errors: readonly string[];
}

export interface KvCall {
  readonly method: 'GET' | 'POST';
  /** Below `/v1/`. */
  readonly path: string;
  readonly body?: unknown;
  readonly token?: string;
}

const ANSWER_MS = 5_000;

/**
 * One request to the server.
 *
 * @throws VaultError `Vault.Sealed`, `Vault.Unavailable` when it is away, slow or in trouble; other
 * answers are the caller's to word.
 */
export async function askKv(
  { address, namespace }: KvSettings,
  { method, path, body, token }: KvCall,
): Promise<KvAnswer> {
  const headers = new Headers({ 'x-vault-request': 'true' });
  if (token !== undefined) headers.set('x-vault-token', token);
  if (namespace !== null) headers.set('x-vault-namespace', namespace);
  const response = await answered(address, `${address}/v1/${path}`, {
    method,
    headers,
    // The token would go with it.
    redirect: 'manual',
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const { status } = response;
  const errors = errorsOf(response.body);
  if (status >= 300 && status < 400) {
    throw unavailable(address, 'answers with a redirect: set VAULT_ADDR to its active node');
  }
  if (status === 503 && errors.some((error) => /sealed/i.test(error))) {
    throw new VaultError(FAILURE.vaultSealed, `the vault server ${address} is sealed: unseal it`);
  }
  if (status === 429 || status >= 500) {
    throw unavailable(address, `answers ${status}${inWords(errors)}`);
  }
  return { status, body: response.body, errors };
}

async function answered(
  address: string,
  url: string,
  init: RequestInit,
): Promise<Pick<KvAnswer, 'status' | 'body'>> {
  const signal = AbortSignal.timeout(ANSWER_MS);
  try {
    const response = await fetch(url, { ...init, signal });
    const text = await response.text();
    return { status: response.status, body: parse(text) };
  } catch (error) {
    if (signal.aborted) throw unavailable(address, `does not answer in ${ANSWER_MS / 1_000} s`);
    const { cause } = error as Error;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no answer';
    throw unavailable(address, `cannot be reached (${code}): check VAULT_ADDR`);
  }
}

export function unavailable(address: string, what: string): VaultError {
  return new VaultError(FAILURE.vaultUnavailable, `the vault server ${address} ${what}`);
}

/** For the end of a message. The server repeats paths and policies, never values. */
export function inWords(errors: readonly string[]): string {
  const words = errors.join('; ').replace(/\s+/g, ' ').trim().slice(0, 300);
  return words === '' ? '' : ` (${words})`;
}

function errorsOf(body: unknown): readonly string[] {
  if (typeof body !== 'object' || body === null || !('errors' in body)) return [];
  return Array.isArray(body.errors) ? body.errors.map(String) : [];
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
