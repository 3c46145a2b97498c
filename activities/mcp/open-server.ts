import type { McpServer } from '../../protocol/mcp.ts';
import { type Connection, type Connections, NotConnectedError } from './connections.ts';
import { type Authority, type Execution, findCredential, type TokenVault } from './credential.ts';
import { connectProblem, type Problem, toProblem } from './problem.ts';
import { createRedactor } from './redactor.ts';

/** What one activity uses a server with. */
export interface ServerAccess {
  readonly connections: Connections;
  readonly vault: TokenVault;
  readonly authority: Authority;
  readonly execution: Execution;
  readonly vaultIds: readonly string[];
  readonly signal: AbortSignal;
}

export type Opened<Value> = { readonly value: Value } | { readonly problem: Problem };

/**
 * Runs something on a connection to a server, with the session's credential for it. Whatever fails
 * is told as a problem whose words hold no secret; only being interrupted throws.
 */
export async function openServer<Value>(
  access: ServerAccess,
  { url }: McpServer,
  work: (connection: Connection, wasHeld: boolean) => Promise<Value>,
): Promise<Opened<Value>> {
  let redactor = createRedactor();
  let hasCredential = false;
  const told = (problem: Problem): { readonly problem: Problem } => {
    return { problem: { ...problem, words: shorten(redactor.redact(problem.words)) } };
  };
  const { connections, execution, signal } = access;
  try {
    const credential = await findCredential(access, url);
    hasCredential = credential !== undefined;
    const onRedactor = (given: typeof redactor): void => {
      redactor = given;
    };
    const place = { runId: execution.runId, url, credential };
    return await connections.use(place, { signal, onRedactor }, async (connection, wasHeld) => {
      try {
        return { value: await work(connection, wasHeld) };
      } catch (error) {
        const problem = toProblem(error, hasCredential);
        signal.throwIfAborted();
        if (problem.kind !== 'answer') connection.giveUp();
        return told(problem);
      }
    });
  } catch (error) {
    signal.throwIfAborted();
    const cause = error instanceof NotConnectedError ? error.cause : error;
    return told(connectProblem(cause, hasCredential));
  }
}

const MAX_CHARACTERS = 1_000;

function shorten(words: string): string {
  const line = words.replaceAll(/\s+/g, ' ').trim().replace(/\.$/, '');
  return line.length <= MAX_CHARACTERS ? line : `${line.slice(0, MAX_CHARACTERS)}…`;
}
