import { linkSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type FailureForm, loadWorkflowBundle } from '../../workers/workflow-bundle.ts';
import { BUNDLE_CACHE } from './bundle-cache.ts';

/** What programs of earlier tests compiled: a `NODE_COMPILE_CACHE` for those that run no commands. */
export const COMPILED = join(tmpdir(), 'drover-test-compiled');
/** Node's own, and the mark that a daemon's are among them. */
const IS_COMPILED = /^v[^/]+\/[0-9a-f]{8}$|^hand-v[^/]+$/;

/** Gives a new state folder the compiled programs of earlier ones, as if it had been used before. */
export function giveCompiled(stateFolder: string): void {
  linkAll(COMPILED, cacheOf(stateFolder));
}

/** Keeps what was compiled in a state folder for later ones. */
export function keepCompiled(stateFolder: string): void {
  linkAll(cacheOf(stateFolder), COMPILED);
}

/** Gives a new state folder the workflow code that its worker would bundle for seconds. */
export async function giveBundle(stateFolder: string, failures?: FailureForm): Promise<void> {
  const bundle = await loadWorkflowBundle(BUNDLE_CACHE, failures);
  linkNewer(bundle, join(cacheOf(stateFolder), basename(bundle)));
}

function cacheOf(stateFolder: string): string {
  return join(stateFolder, 'cache');
}

function linkAll(from: string, to: string): void {
  if (statSync(from, { throwIfNoEntry: false }) === undefined) return;
  const names = readdirSync(from, { recursive: true, encoding: 'utf8' });
  for (const name of names) {
    if (IS_COMPILED.test(name)) linkNewer(join(from, name), join(to, name));
  }
}

/** A link is enough: what is in a cache is replaced, never changed. */
function linkNewer(source: string, target: string): void {
  const { mtimeMs, dev } = statSync(source);
  const present = statSync(target, { throwIfNoEntry: false });
  if (present !== undefined && present.mtimeMs >= mtimeMs) return;
  mkdirSync(dirname(target), { recursive: true });
  // The cache of another disk stays cold.
  if (statSync(dirname(target)).dev !== dev) return;
  const partial = `${target}.${process.pid}`;
  try {
    linkSync(source, partial);
  } catch {
    // Another test replaced it at this moment.
    return;
  }
  renameSync(partial, target);
}
