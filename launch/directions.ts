import type { Platform } from './platform.ts';
import type { StartOptions } from './start-options.ts';

const DEFAULT_ADDRESS = '127.0.0.1:7233';

/** Where to look at a session, and how to talk to it. */
export function directions(
  { drover, uiUrl, external }: Platform,
  id: string,
  { once }: Pick<StartOptions, 'once'>,
): string[] {
  const { address, namespace } = drover;
  // A configured server is found by the same configuration.
  const flag = external || address === DEFAULT_ADDRESS ? '' : ` --address ${address}`;
  const page = `/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(id)}`;
  return [
    '',
    `session ${id}`,
    `  look:       ${uiUrl === null ? `the Web UI of ${address}, at ` : uiUrl}${page}`,
    `  talk to it: npx drover send ${id} "…"${flag}`,
    `  follow it:  npx drover tail ${id}${flag}`,
    `  stop it:    npx drover interrupt ${id}${flag}`,
    ...(once ? [] : ['  end all:    Ctrl-C; sessions are kept']),
    '',
  ];
}
