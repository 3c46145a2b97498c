/** Of one connection, not of the message (RFC 9110, 7.6.1); and how it is framed, which is said anew. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

export type Header = readonly [name: string, value: string];

/**
 * The headers that go on, in their order and spelling.
 *
 * @param rawHeaders Names and values in turn.
 * @param except More names, lower case, that do not.
 */
export function forwardedHeaders(
  rawHeaders: readonly string[],
  except: readonly string[] = [],
): readonly Header[] {
  const pairs = toPairs(rawHeaders);
  const named = pairs
    .filter(([name]) => name.toLowerCase() === 'connection')
    .flatMap(([, value]) => value.split(',').map((token) => token.trim().toLowerCase()));
  const dropped = new Set([...HOP_BY_HOP, ...named, ...except]);
  return pairs.filter(([name]) => !dropped.has(name.toLowerCase()));
}

function toPairs(rawHeaders: readonly string[]): readonly Header[] {
  return rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [[name, rawHeaders[index + 1] ?? ''] as const] : [],
  );
}
