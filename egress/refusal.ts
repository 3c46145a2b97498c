/** Why a request is refused, for logs. */
export type RefusalReason =
  | 'malformed'
  | 'credentials'
  | 'expired'
  | 'foreign-token'
  | 'host-not-allowed'
  | 'port-not-allowed'
  | 'address-not-public'
  | 'too-many-connections'
  | 'unreachable'
  | 'unreadable-answer'
  | 'protocol'
  | 'not-held'
  | 'credential'
  | 'repository-not-allowed'
  | 'ref-not-allowed'
  | 'upstream'
  | 'vault'
  | 'misconfigured'
  | 'stopping';

export interface RefusalOptions {
  readonly status: number;
  readonly reason: RefusalReason;
  /** For who reads what a client prints: one line, with nothing in it that the request made up. */
  readonly words: string;
  readonly cause?: unknown;
}

/** A request that does not go on. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly reason: RefusalReason;

  constructor({ status, reason, words, cause }: RefusalOptions) {
    super(words, { cause });
    this.status = status;
    this.reason = reason;
  }
}

/** What a client gets. The words are the status text too: of a refused tunnel most clients print only that. */
export function answerOf({ status, message }: Refusal): {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
} {
  const body = `${status} ${message}\n`;
  const headers = {
    'Content-Type': 'text/plain',
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
    ...(status === 407 ? { 'Proxy-Authenticate': 'Basic realm="drover"' } : {}),
    ...(status === 401 ? { 'WWW-Authenticate': 'Basic realm="drover"' } : {}),
  };
  return { status, statusText: message, headers, body };
}
