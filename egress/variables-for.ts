import type { VariableGrant } from '../protocol/grant.ts';
import { coversHost, hostRules } from './allowed-target.ts';
import type { HandToken } from './hand-token.ts';
import type { Target } from './target.ts';

/**
 * The variables whose values may go to a host, on any of its ports: what goes there must be read on
 * its way. A hand's variable of one host says nothing about another.
 */
export function variablesFor(
  { variables }: HandToken,
  { host }: Pick<Target, 'host'>,
): readonly VariableGrant[] {
  return variables.filter(({ hosts }) => mayReach(hosts, host));
}

/** @param hosts Null: all. */
export function mayReach(hosts: readonly string[] | null, host: string): boolean {
  return hosts === null || hostRules(hosts).some((rule) => coversHost(rule, host));
}
