import { z } from 'zod';

const SHAPE = 'must be the http or https URL of an MCP server, without name, password or fragment';

/** Kept as it was written; compared by `normalizeServerUrl`. */
export const McpServerUrl = z
  .string()
  .max(2_048)
  .refine((value) => normalizeServerUrl(value) !== undefined, SHAPE);

/**
 * The one form in which servers are compared: scheme and host in lower case, no default port, no
 * slash at the end of the path. Undefined for what is no server's URL.
 */
export function normalizeServerUrl(value: string): string | undefined {
  // Not `URL.parse`: the client runs on Node 20, which does not have it.
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) return undefined;
  if (url.username + url.password + url.hash !== '' || value.includes('#')) return undefined;
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}${url.search}`;
}
