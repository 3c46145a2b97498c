import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HandToken } from './hand-token.ts';

/**
 * What the gateway itself serves, below a path of its own. It is asked as a server, with the hand's
 * token as `Authorization` (`Bearer`, or the password of `Basic`); as a proxy it is not: a hand
 * reaches it where it reaches the proxy.
 */
export interface GatewayService {
  /** Like `/git/`. */
  readonly path: string;
  /**
   * Answers one request, whose token was checked; what it throws before it answered is told to the
   * client.
   *
   * @param asked.path With the query, as it was sent.
   * @throws {Refusal}
   */
  serve(
    request: IncomingMessage,
    response: ServerResponse,
    asked: { readonly token: HandToken; readonly path: string },
  ): Promise<void>;
}
