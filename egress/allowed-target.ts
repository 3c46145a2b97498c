import { type AllowedHostRule, parseAllowedHost } from '../protocol/allowed-host.ts';
import { Refusal } from './refusal.ts';
import type { Target } from './target.ts';

const DEFAULT_PORTS: readonly number[] = [80, 443];

/**
 * @param hosts Entries of `networking.allowed_hosts`; null lets everything through.
 * @throws {Refusal} No entry lets the target through.
 */
export function checkAllowed(hosts: readonly string[] | null, { host, port }: Target): void {
  if (hosts === null) return;
  const rules = hostRules(hosts).filter((rule) => coversHost(rule, host));
  if (rules.length === 0) {
    throw new Refusal({
      status: 403,
      reason: 'host-not-allowed',
      words: `host ${host} is not in this environment's networking.allowed_hosts`,
    });
  }
  if (rules.some((rule) => coversPort(rule, port))) return;
  throw new Refusal({
    status: 403,
    reason: 'port-not-allowed',
    words:
      `port ${port} of host ${host} is not in this environment's networking.allowed_hosts, ` +
      `which must name it: ${host}:${port}`,
  });
}

export function hostRules(hosts: readonly string[]): readonly AllowedHostRule[] {
  return hosts.map(parseAllowedHost);
}

export function coversHost(rule: AllowedHostRule, host: string): boolean {
  return rule.coversSubdomains ? host.endsWith(`.${rule.host}`) : host === rule.host;
}

function coversPort(rule: AllowedHostRule, port: number): boolean {
  return rule.port === null ? DEFAULT_PORTS.includes(port) : rule.port === port;
}
