import { linkSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { Isolation } from './supervisor-settings.ts';

/**
 * Who supervises a hand. Records are numbered; the highest one counts, and a number is given once,
 * by a link that fails when the file is there. So of several supervisors that find the last one dead
 * exactly one becomes the next, without a lock that a dead process could hold.
 */
export const SupervisorRecord = z.object({
  pid: z.int().positive(),
  /** Tells the process from a later one with the same pid. */
  birth: z.string(),
  instance: z.string(),
  generation: z.int(),
  isolation: Isolation,
  socket: z.string(),
});
export type SupervisorRecord = Readonly<z.infer<typeof SupervisorRecord>>;

const RECORD = /^supervisor-(\d+)\.json$/;

/** The last supervisor of a hand, dead or alive; undefined when there was none. */
export function readRecord(folder: string): SupervisorRecord | undefined {
  // A record can be replaced by its successor between the listing and the reading.
  for (let attempt = 0; attempt < 10; attempt += 1) {
    const number = numbersIn(folder).at(-1);
    if (number === undefined) return undefined;
    const record = parse(pathOf(folder, number));
    if (record !== undefined) return record;
  }
  return undefined;
}

/**
 * Makes this process the hand's supervisor.
 *
 * @returns false when another one is alive or was faster.
 */
export function claim(folder: string, record: SupervisorRecord): boolean {
  const last = numbersIn(folder).at(-1) ?? 0;
  const present = last === 0 ? undefined : parse(pathOf(folder, last));
  if (present !== undefined && isAlive(present)) return false;
  const draft = join(folder, `.claim-${record.instance}`);
  writeFileSync(draft, JSON.stringify(record), { mode: 0o600 });
  try {
    linkSync(draft, pathOf(folder, last + 1));
  } catch {
    return false;
  } finally {
    unlinkSync(draft);
  }
  if (numbersIn(folder).at(-1) !== last + 1) {
    // Someone went on from a number that is gone by now: ours was never the highest.
    rmSync(pathOf(folder, last + 1), { force: true });
    return false;
  }
  for (const number of numbersIn(folder)) {
    if (number < last + 1) rmSync(pathOf(folder, number), { force: true });
  }
  return true;
}

export function isAlive(record: SupervisorRecord): boolean {
  return birthOf(record.pid) === record.birth;
}

/** When a process started, in words that no other process with its pid has; undefined when it ended. */
export function birthOf(pid: number): string | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
    const [state, startedAt] = [fields[0], fields[19]];
    // A zombie has ended; it only waits for a parent to look.
    if (state === 'Z' || state === 'X' || startedAt === undefined) return undefined;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}:${startedAt}`;
  } catch {
    return undefined;
  }
}

function numbersIn(folder: string): number[] {
  try {
    const numbers = readdirSync(folder).map((name) => Number(RECORD.exec(name)?.[1] ?? 0));
    return numbers.filter((number) => number > 0).sort((a, b) => a - b);
  } catch {
    return [];
  }
}

function pathOf(folder: string, number: number): string {
  return join(folder, `supervisor-${number}.json`);
}

function parse(path: string): SupervisorRecord | undefined {
  try {
    return SupervisorRecord.safeParse(JSON.parse(readFileSync(path, 'utf8'))).data;
  } catch {
    return undefined;
  }
}
