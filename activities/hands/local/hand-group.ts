import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { MAX_PROCESSES } from './limits.ts';

const MOUNT = '/sys/fs/cgroup';
const PARENT = 'drover';
/** One hand must leave the machine enough to end it. */
const MAX_MEMORY_SHARE = 0.75;

/**
 * Makes the control group of an instance: its processes and memory in all are bounded, and however
 * many its processes are, they share the processors' time as one. Needs root and a control group
 * file system that may be written; without them there is none.
 *
 * @returns Its folders; a process joins by writing its pid to each one's `cgroup.procs`.
 */
export function makeHandGroup(instance: string, mount = MOUNT): readonly string[] {
  const memory = String(Math.floor(totalmem() * MAX_MEMORY_SHARE));
  const processes = String(MAX_PROCESSES);
  try {
    if (existsSync(join(mount, 'cgroup.controllers'))) {
      const parent = join(mount, PARENT);
      mkdirSync(parent, { recursive: true });
      for (const folder of [mount, parent]) {
        writeFileSync(join(folder, 'cgroup.subtree_control'), '+pids +memory +cpu');
      }
      const limits = { 'pids.max': processes, 'memory.max': memory };
      return [makeFolder(join(parent, instance), limits)];
    }
    return [
      makeFolder(join(mount, 'pids', PARENT, instance), { 'pids.max': processes }),
      makeFolder(join(mount, 'cpu', PARENT, instance), {}),
      makeFolder(join(mount, 'memory', PARENT, instance), { 'memory.limit_in_bytes': memory }),
    ];
  } catch {
    // Not ours to write, or not as this machine has them: README says what holds without.
    removeHandGroup(instance, mount);
    return [];
  }
}

/** Removes the groups of an instance that has ended. */
export function removeHandGroup(instance: string, mount = MOUNT): void {
  for (const folder of foldersOf(instance, mount)) {
    try {
      rmdirSync(folder);
    } catch {
      // None, or one of its processes is not quite gone; an empty group costs nothing.
    }
  }
}

function foldersOf(instance: string, mount: string): readonly string[] {
  return ['', 'pids', 'cpu', 'memory'].map((controller) =>
    join(mount, controller, PARENT, instance),
  );
}

function makeFolder(path: string, limits: Readonly<Record<string, string>>): string {
  mkdirSync(path, { recursive: true });
  for (const [file, limit] of Object.entries(limits)) writeFileSync(join(path, file), limit);
  return path;
}
