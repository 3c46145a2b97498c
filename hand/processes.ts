import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * Processes as /proc lists them. Within nested pid namespaces /proc can be that of an outer one, so
 * that its numbers are not those `kill` takes: `entry` is the number in /proc, `pid` ours.
 */
export interface ProcessEntry {
  readonly entry: number;
  readonly parentEntry: number;
  /** As `kill` of this process takes it. */
  readonly pid: number;
  readonly isZombie: boolean;
}

/** Numbers in /proc at one moment. Cheap: reads no process. */
export type ProcessSnapshot = ReadonlySet<number>;

export function snapshotProcesses(): ProcessSnapshot {
  return new Set(readdirSync('/proc').filter(isNumeric).map(Number));
}

/** Processes of this process's pid namespace and of those within it. */
export function listProcesses(): ProcessEntry[] {
  const depth = readStatus('self')?.pids.length ?? 1;
  const entries: ProcessEntry[] = [];
  for (const name of readdirSync('/proc').filter(isNumeric)) {
    const status = readStatus(name);
    const pid = status?.pids[depth - 1];
    if (status === undefined || pid === undefined) continue;
    const { parentEntry, isZombie } = status;
    entries.push({ entry: Number(name), parentEntry, pid, isZombie });
  }
  return entries;
}

/** This process's own number in /proc. */
export function ownEntry(): number {
  return Number(readlinkSync('/proc/self'));
}

/** Whether a process was started with this variable. False when that cannot be known. */
export function hasVariable(entry: number, name: string, value: string): boolean {
  try {
    return `\0${readFileSync(`/proc/${entry}/environ`, 'latin1')}`.includes(`\0${name}=${value}\0`);
  } catch {
    return false;
  }
}

interface Status {
  readonly parentEntry: number;
  /** Own number in each pid namespace, outermost (that of /proc) first. */
  readonly pids: readonly number[];
  readonly isZombie: boolean;
}

function readStatus(name: string): Status | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${name}/status`, 'latin1');
  } catch {
    return undefined;
  }
  const parent = /^PPid:\t(\d+)/m.exec(text)?.[1];
  const pids = /^NSpid:\t(.+)$/m.exec(text)?.[1] ?? /^Pid:\t(\d+)/m.exec(text)?.[1];
  if (parent === undefined || pids === undefined) return undefined;
  return {
    parentEntry: Number(parent),
    pids: pids.split('\t').map(Number),
    isZombie: /^State:\t[ZX]/m.test(text),
  };
}

function isNumeric(name: string): boolean {
  return /^\d+$/.test(name);
}
