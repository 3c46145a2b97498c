import { z } from 'zod';
import { isHostName, isIpv4Address } from './host-name.ts';

/** One entry of `networking.allowed_hosts`, read. */
export interface AllowedHostRule {
  /** A name or an address of version 4. */
  readonly host: string;
  /** `*.example.com`: every name below it, not itself. */
  readonly coversSubdomains: boolean;
  /** Null: those of http and https. */
  readonly port: number | null;
}

const MAX_PORT = 65_535;
const MAX_ENTRIES = 100;
/** They are carried, twice encoded, by a header of each request. */
const MAX_CHARACTERS = 6_000;

/** `example.com`, `*.example.com`, `10.1.2.3`; each may end in a port: `example.com:8443`. */
export const AllowedHost = z
  .string()
  .max(300)
  .toLowerCase()
  .superRefine((entry, context) => {
    const rule = readAllowedHost(entry);
    if (typeof rule === 'string') context.addIssue({ code: 'custom', message: rule });
  });

export const AllowedHosts = z
  .array(AllowedHost)
  .max(MAX_ENTRIES)
  .refine((hosts) => hosts.join().length <= MAX_CHARACTERS, {
    message: `must have at most ${MAX_CHARACTERS} characters together; name suffixes: *.example.com`,
  });

/** @throws Error when it is no valid entry. */
export function parseAllowedHost(entry: string): AllowedHostRule {
  const rule = readAllowedHost(entry);
  if (typeof rule === 'string') throw new Error(`allowed host ${JSON.stringify(entry)}: ${rule}`);
  return rule;
}

/** The rule, or what is wrong with the entry. */
function readAllowedHost(entry: string): AllowedHostRule | string {
  if (/[/@?#\\]/.test(entry)) return 'must be a host alone, such as example.com, not a URL';
  if (/[^\x21-\x7e]/.test(entry)) {
    return 'must be ASCII without spaces; an international name is written as xn--…';
  }
  const coversSubdomains = entry.startsWith('*.');
  const [host = '', port, ...more] = entry.slice(coversSubdomains ? 2 : 0).split(':');
  if (more.length > 0) return 'must be a name or an IPv4 address; IPv6 addresses cannot be named';
  if (host.includes('*')) {
    return 'may have a star only for all names below one: *.example.com';
  }
  if (port !== undefined && !isPort(port)) return `must have a port from 1 to ${MAX_PORT}`;
  const problem = coversSubdomains ? suffixProblem(host) : hostProblem(host);
  if (problem !== undefined) return problem;
  return { host, coversSubdomains, port: port === undefined ? null : Number(port) };
}

function suffixProblem(host: string): string | undefined {
  if (!isHostName(host)) return 'must be a valid name after *.';
  return host.includes('.') ? undefined : 'is too wide: name at least two labels, *.example.com';
}

function hostProblem(host: string): string | undefined {
  if (isHostName(host) || isIpv4Address(host)) return undefined;
  if (host.endsWith('.')) return 'must not end in a dot';
  return 'must be a host name or an IPv4 address of four decimal numbers';
}

function isPort(text: string): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= MAX_PORT;
}
