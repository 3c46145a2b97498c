import type { SessionError } from '../../protocol/session-event.ts';
import type { Problem } from './problem.ts';

/** What a person should know of a server that could not be used. */
export function serverError(server: string, problem: Problem, words: string): SessionError {
  const type =
    problem.kind === 'authentication'
      ? 'mcp_authentication_failed_error'
      : 'mcp_connection_failed_error';
  return {
    type: 'session.error',
    error: {
      type,
      mcp_server_name: server,
      message: `${words}${problem.words}.`,
      retry_status: { type: problem.mayPass ? 'exhausted' : 'terminal' },
    },
  };
}
