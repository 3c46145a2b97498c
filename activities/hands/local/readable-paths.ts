import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir, tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE_ROOT = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '');

/** The daemon's program. */
export const HAND_PROGRAM = join(PACKAGE_ROOT, 'hand', 'main.ts');

/** The program that moves files out of a sandbox. */
export const TRANSFER_PROGRAM = join(PACKAGE_ROOT, 'k8s', 'sandbox', 'transfer.ts');

/** What only root may read, and what is in folders of the usual services of a machine. */
const ROOT_ONLY = [
  ...['/etc/shadow', '/etc/shadow-', '/etc/gshadow', '/etc/gshadow-', '/etc/sudoers.d'],
  ...['/etc/ssh', '/etc/ssl/private', '/etc/kubernetes', '/etc/rancher', '/etc/docker'],
  ...['/var/lib/kubelet', '/var/lib/docker', '/var/lib/containerd', '/var/lib/rancher'],
  ...['/var/lib/etcd', '/var/lib/postgresql', '/var/lib/mysql', '/var/log', '/var/spool'],
];

/**
 * What a sandbox may not read: people's homes, this program's own folder (where a `.env` may lie),
 * the state folder with everyone's workspaces, host sockets, and the temporary files of others. To
 * be asked by the worker: its supervisors have another home.
 *
 * @param secretPaths More of it, wherever an operator put it.
 */
export function hiddenPaths(stateFolder: string, secretPaths: readonly string[] = []): string[] {
  const homes = [homedir(), userInfo().homedir, '/root', '/home'];
  const shared = ['/run', '/tmp', '/var/tmp', tmpdir()];
  const ofRoot = process.getuid?.() === 0 ? ROOT_ONLY.filter((path) => existsSync(path)) : [];
  const secret = secretPaths.filter((path) => existsSync(path));
  return [
    ...new Set([...homes, ...shared, ...ofRoot, ...secret, PACKAGE_ROOT, stateFolder]),
  ].filter((path) => path !== '/');
}

/** What the daemon needs of that: its program, Node, the SDK's toolset, the isolation's helpers. */
export function neededPaths(): string[] {
  const require = createRequire(import.meta.url);
  const sdk = packageFolder(require, '@anthropic-ai/sdk');
  const runtime = packageFolder(require, '@anthropic-ai/sandbox-runtime');
  return [
    dirname(process.execPath),
    join(PACKAGE_ROOT, 'hand'),
    join(PACKAGE_ROOT, 'protocol'),
    join(PACKAGE_ROOT, 'package.json'),
    join(runtime, 'vendor'),
    sdk,
    ...dependencyFolders(sdk),
  ];
}

/** What the program needs that moves files out of a sandbox. */
export function transferPaths(): string[] {
  const require = createRequire(import.meta.url);
  const tar = packageFolder(require, 'tar');
  return [
    dirname(process.execPath),
    join(PACKAGE_ROOT, 'hand'),
    join(PACKAGE_ROOT, 'k8s', 'sandbox'),
    join(PACKAGE_ROOT, 'package.json'),
    tar,
    ...dependencyFolders(tar),
  ];
}

/** Folders of all that a package depends on, its dependencies' dependencies too. */
function dependencyFolders(folder: string, seen = new Set<string>()): string[] {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly dependencies?: Readonly<Record<string, string>>;
  };
  const require = createRequire(join(folder, 'package.json'));
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    const dependency = packageFolder(require, name);
    if (seen.has(dependency)) continue;
    seen.add(dependency);
    dependencyFolders(dependency, seen);
  }
  return [...seen];
}

function packageFolder(require: NodeJS.Require, name: string): string {
  for (const base of require.resolve.paths(name) ?? []) {
    const folder = join(base, name);
    try {
      readFileSync(join(folder, 'package.json'));
      return folder;
    } catch {
      // Not in this one: the next folder up.
    }
  }
  throw new Error(`The package ${name} is not installed; run npm ci.`);
}
