import { ProtocolError, SdkError, SdkErrorCode, SdkHttpError } from '@modelcontextprotocol/client';
import { AddressRefusedError } from '../../dial/address-refused-error.ts';
import { FAILURE } from '../../protocol/failure.ts';
import { VaultError } from '../../vault/vault-error.ts';
import { AnswerTooLargeError } from './server-fetch.ts';
import { CUT_OFF } from './watched-transport.ts';

/** What went wrong with a server. */
export interface Problem {
  readonly kind: 'authentication' | 'connection' | 'answer';
  /** The request surely did not get to where it could take effect. */
  readonly isNotSent: boolean;
  /** Another attempt, a moment later, may go better. */
  readonly mayPass: boolean;
  /** For a person and the model. Not redacted yet. */
  readonly words: string;
}

const UNAUTHORIZED = new Set([401, 403]);
/** Of a request that was not taken: by where it went, who sent it, or its form. */
const REFUSED = new Set([301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406, 413, 415, 429]);

/** What failed while a connection was made: the call itself had not been sent. */
export function connectProblem(error: unknown, hasCredential: boolean): Problem {
  const problem = toProblem(error, hasCredential);
  const kind = problem.kind === 'answer' ? 'connection' : problem.kind;
  return { ...problem, kind, isNotSent: true };
}

export function toProblem(error: unknown, hasCredential: boolean): Problem {
  if (error instanceof VaultError) return vaultProblem(error);
  const refused = causeOf(error, (cause) => cause instanceof AddressRefusedError);
  if (refused !== undefined) return addressProblem(refused);
  const status = statusOf(error);
  if (status !== undefined) return statusProblem(status, error, hasCredential);
  if (error instanceof ProtocolError) return protocolProblem(error);
  const tooLarge = causeOf(error, (cause) => cause instanceof AnswerTooLargeError);
  if (tooLarge !== undefined) {
    const words = `${messageOf(tooLarge)}. The call may have taken effect; its result is lost`;
    return { kind: 'answer', isNotSent: false, mayPass: false, words };
  }
  if (error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout) {
    const words = 'it did not answer in time';
    return { kind: 'connection', isNotSent: false, mayPass: true, words };
  }
  const isNotSent = causeOf(error, isBeforeSending) !== undefined;
  const words = innermost(error);
  return { kind: 'connection', isNotSent, mayPass: true, words };
}

function vaultProblem(error: VaultError): Problem {
  const isAway = error.type === FAILURE.vaultUnavailable || error.type === FAILURE.vaultSealed;
  const kind = isAway ? 'connection' : 'authentication';
  return { kind, isNotSent: true, mayPass: error.isRetryable, words: error.message };
}

function addressProblem(error: unknown): Problem {
  const words = `${messageOf(error)}. An operator lets it be dialled by DROVER_VAULT_PRIVATE_NETWORKS`;
  return { kind: 'connection', isNotSent: true, mayPass: false, words };
}

function statusOf(error: unknown): number | undefined {
  const http = causeOf(error, (cause) => cause instanceof SdkHttpError);
  if (http instanceof SdkHttpError) return http.status;
  const isUnauthorized = error instanceof Error && error.name === 'UnauthorizedError';
  return isUnauthorized ? 401 : undefined;
}

function statusProblem(status: number, error: unknown, hasCredential: boolean): Problem {
  const isNotSent = REFUSED.has(status);
  if (UNAUTHORIZED.has(status)) {
    const words = hasCredential
      ? `it refused the session's credential (HTTP ${status})`
      : `it wants a credential (HTTP ${status}), and no vault of the session has one for its URL`;
    return { kind: 'authentication', isNotSent, mayPass: false, words };
  }
  const words = `it answered HTTP ${status}: ${messageOf(error)}`;
  return { kind: 'connection', isNotSent, mayPass: status === 429 || status >= 500, words };
}

function protocolProblem(error: ProtocolError): Problem {
  if (error.code === CUT_OFF) {
    return { kind: 'connection', isNotSent: false, mayPass: true, words: error.message };
  }
  const words = `MCP error ${error.code}: ${error.message}`;
  return { kind: 'answer', isNotSent: false, mayPass: false, words };
}

/** Names and certificates are looked at before anything of the request leaves. */
function isBeforeSending(error: Error): boolean {
  if ('syscall' in error && (error.syscall === 'connect' || error.syscall === 'getaddrinfo')) {
    return true;
  }
  const code = 'code' in error ? String(error.code) : '';
  if (/CERT|SELF_SIGNED|ERR_TLS|EPROTO/.test(code)) return true;
  return error.message.includes('before secure TLS connection was established');
}

function causeOf(error: unknown, is: (cause: Error) => boolean): Error | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; depth += 1) {
    if (is(cause)) return cause;
    if (cause instanceof AggregateError) {
      const found = cause.errors.find((inner) => inner instanceof Error && is(inner));
      if (found instanceof Error) return found;
    }
    const { data } = cause as { data?: unknown };
    const within = typeof data === 'object' && data !== null && 'cause' in data ? data.cause : null;
    cause = cause.cause ?? within;
  }
  return undefined;
}

function innermost(error: unknown): string {
  let last = error;
  while (last instanceof Error && last.cause instanceof Error) last = last.cause;
  if (last instanceof AggregateError && last.errors.length > 0) return messageOf(last.errors[0]);
  return messageOf(last);
}

function messageOf(error: unknown): string {
  // Its words quote what it could not read, cut anywhere.
  if (error instanceof SyntaxError) return 'it answered with what is no JSON';
  return error instanceof Error ? error.message : String(error);
}
