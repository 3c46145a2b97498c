import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Names that lead where a test says, for one worker and what comes of it. */
export interface NamedHosts {
  /** Put in front of the worker's command. */
  readonly wrap: readonly string[];
  /** Names lead elsewhere from now on. */
  set(addresses: Readonly<Record<string, string>>): void;
}

const SCRIPT = 'mount --bind "$0" /etc/hosts && exec "$@"';

/** By a file of hosts that no other process of this machine sees. */
export function nameHosts(folder: string, addresses: Readonly<Record<string, string>>): NamedHosts {
  const path = join(folder, 'hosts');
  const set: NamedHosts['set'] = (changed) => {
    const all = { localhost: '127.0.0.1', ...addresses, ...changed };
    const lines = Object.entries(all).map(([name, address]) => `${address} ${name}\n`);
    writeFileSync(path, lines.join(''));
  };
  set({});
  const rights = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  return { wrap: ['unshare', ...rights, '--mount', 'sh', '-c', SCRIPT, path], set };
}
