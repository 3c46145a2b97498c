import { z } from 'zod';
import type { ListMcpToolsInput, ListMcpToolsResult } from '../../protocol/mcp.ts';
import type { SessionError, SessionErrorType } from '../../protocol/session-event.ts';
import type { Connection } from './connections.ts';
import { openServer, type ServerAccess } from './open-server.ts';
import type { Problem } from './problem.ts';
import { serverError } from './server-error.ts';
import { checkTools } from './tool-list.ts';

const LIST_MS = 30_000;
const MAX_PAGES = 200;
const MAX_LISTED = 20_000;

/** Looser than the client's own: one bad tool must not cost the others. */
const Page = z.looseObject({ tools: z.array(z.unknown()), nextCursor: z.string().nullish() });

/** Asks a server for its tools. What is wrong with it is told by events: a turn goes on without. */
export async function listTools(
  access: ServerAccess,
  { server, toolset }: ListMcpToolsInput,
): Promise<ListMcpToolsResult> {
  const { name } = server;
  const opened = await openServer(access, server, async (connection) => {
    const listed = await readPages(connection, access.signal);
    return { listed, redactor: connection.redactor };
  });
  if ('problem' in opened) {
    return { server: name, tools: null, events: [notListed(name, opened.problem)] };
  }
  const { listed, redactor } = opened.value;
  const { tools, problem } = checkTools(listed, toolset, redactor);
  if (problem === undefined) return { server: name, tools, events: [] };
  const message = redactor.redact(`Tools of MCP server "${name}" are not offered: ${problem}.`);
  return { server: name, tools, events: [error('unknown_error', name, message)] };
}

async function readPages({ client }: Connection, signal: AbortSignal): Promise<unknown[]> {
  const listed: unknown[] = [];
  let cursor: string | null | undefined;
  for (let page = 0; page < MAX_PAGES && listed.length <= MAX_LISTED; page += 1) {
    const params = cursor == null ? {} : { cursor };
    const request = { method: 'tools/list', params };
    const read = await client.request(request, Page, { timeout: LIST_MS, signal });
    listed.push(...read.tools);
    const { nextCursor } = read;
    if (nextCursor == null || nextCursor === cursor) break;
    cursor = nextCursor;
  }
  return listed;
}

function notListed(name: string, problem: Problem): SessionError {
  return serverError(name, problem, `The tools of MCP server "${name}" are not known: `);
}

function error(type: SessionErrorType, mcp_server_name: string, message: string): SessionError {
  return {
    type: 'session.error',
    error: { type, mcp_server_name, message, retry_status: { type: 'terminal' } },
  };
}
