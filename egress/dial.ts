import { once } from 'node:events';
import { type BlockList, connect, isIP, type Socket } from 'node:net';
import { mayBeDialled } from '../dial/public-addresses.ts';
import { Refusal } from './refusal.ts';
import type { Target } from './target.ts';

export interface Address {
  readonly address: string;
  readonly family: number;
}

export interface DialOptions {
  /** All addresses of a name; rejects when there are none. */
  resolve(name: string): Promise<readonly Address[]>;
  /** What may be dialled though it is not public. */
  readonly privateNetworks: BlockList;
  /** Authorities of hosts that the gateway itself speaks TLS with, as PEM. */
  readonly trusted: readonly string[];
  /** Time in which the target must answer. */
  readonly connectMs: number;
}

/** Before the next address of a name is tried too. */
const NEXT_ADDRESS_MS = 1_000;

/**
 * Resolves a target once and dials what that gave: a name that leads elsewhere a moment later
 * changes nothing.
 *
 * @returns A connected socket, the caller's to close.
 * @throws {Refusal}
 */
export async function dial(target: Target, options: DialOptions): Promise<Socket> {
  const { host, port } = target;
  const found = await addressesOf(host, options);
  const addresses = found.filter(({ address }) => mayBeDialled(address, options.privateNetworks));
  if (addresses.length === 0) {
    throw new Refusal({
      status: 403,
      reason: 'address-not-public',
      words: `host ${host} leads to no public address`,
    });
  }
  const socket = connect({
    host,
    port,
    // Never asked for an address: what is dialled is in the list in any case.
    lookup: (_host, _options, done) => done(null, [...addresses]),
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
  });
  // Whoever uses it hears of an error by its close.
  socket.on('error', () => {});
  await connected(socket, target, options.connectMs);
  return socket;
}

async function addressesOf(host: string, { resolve }: DialOptions): Promise<readonly Address[]> {
  const literal = host.replace(/^\[|\]$/g, '');
  const family = isIP(literal);
  if (family !== 0) return [{ address: literal, family }];
  return resolve(host).catch((error: unknown) => {
    throw unreachable(502, `host ${host} cannot be resolved (${codeOf(error)})`);
  });
}

async function connected(socket: Socket, { host, port }: Target, timeoutMs: number): Promise<void> {
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(timeoutMs) });
  } catch (error) {
    socket.destroy();
    const isLate = error instanceof Error && error.name === 'AbortError';
    throw isLate
      ? unreachable(504, `host ${host} did not answer on port ${port} in ${timeoutMs / 1000} s`)
      : unreachable(502, `host ${host} cannot be reached on port ${port} (${codeOf(error)})`);
  }
}

function unreachable(status: number, words: string): Refusal {
  return new Refusal({ status, reason: 'unreachable', words });
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
  return code.replace(/[^\w ]/g, '');
}
