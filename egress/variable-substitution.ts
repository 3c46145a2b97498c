import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { CertificateAuthority } from './certificate.ts';
import type { CredentialUse } from './credential-use.ts';
import type { HandToken } from './hand-token.ts';
import { createHostCertificates } from './host-certificates.ts';
import { EgressKeysError } from './keys.ts';
import { Refusal } from './refusal.ts';
import { type Rewriting, substituting } from './substitution.ts';
import type { Target } from './target.ts';
import { valuesFor } from './variable-values.ts';
import { variablesFor } from './variables-for.ts';

/** What the gateway does for hands with variables, at the hosts that those are for. */
export interface VariableSubstitution {
  /** What goes to the target must be read. */
  concerns(token: HandToken, target: Target): boolean;
  /**
   * Gets ready to take the place of the target.
   *
   * @throws {Refusal}
   */
  prepare(target: Target): (host: string) => SecureContext;
  /**
   * How a request to the target is written anew; undefined when it goes as it is.
   *
   * @throws {Refusal} It cannot be read, or a value is not to be had.
   */
  rewritingFor(
    token: HandToken,
    target: Target,
    request: IncomingMessage,
  ): Promise<Rewriting | undefined>;
}

export function createVariableSubstitution(deps: {
  readonly credentials: CredentialUse;
  /** Asked for each host. */
  readAuthority(): CertificateAuthority;
}): VariableSubstitution {
  const certificates = createHostCertificates(deps.readAuthority);
  return {
    concerns: (token, target) => variablesFor(token, target).length > 0,
    prepare({ host }) {
      refuseIpv6(host);
      try {
        certificates.contextOf(host);
      } catch (error) {
        if (!(error instanceof EgressKeysError)) throw error;
        const words = `the gateway has no certificate authority: ${error.message}`;
        throw new Refusal({ status: 503, reason: 'misconfigured', words: toLine(words) });
      }
      return (name) => certificates.contextOf(name);
    },
    async rewritingFor(token, target, request) {
      const variables = variablesFor(token, target);
      if (variables.length === 0) return undefined;
      refuseIpv6(target.host);
      refuseOtherProtocol(target, request);
      return substituting(await valuesFor(deps.credentials, token, variables, target));
    },
  };
}

/** No certificate can be asked for it, and no variable names one. */
function refuseIpv6(host: string): void {
  if (!isIPv6(host.replace(/^\[|\]$/g, ''))) return;
  const words =
    'a hand with variables for every host reaches none by its IPv6 address: use its name';
  throw new Refusal({ status: 403, reason: 'protocol', words });
}

function refuseOtherProtocol({ host }: Target, { headers }: IncomingMessage): void {
  if (headers.upgrade === undefined) return;
  const words =
    `host ${host} is one of a variable, whose value could come back unseen by another protocol: ` +
    'no WebSocket and no HTTP/2 goes there';
  throw new Refusal({ status: 501, reason: 'protocol', words });
}

function toLine(words: string): string {
  return words.replace(/[^\x20-\x7e]/g, '?');
}
