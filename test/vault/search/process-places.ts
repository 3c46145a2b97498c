import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import type { Place } from './search-places.ts';

const PIECE_BYTES = 16 * 1024 * 1024;
/** More than any spelling of a mark has. */
const OVERLAP_BYTES = 1024;

/** What a process was started with and what it holds now. */
export function processPlaces(pid: number): Place[] {
  const place = (what: string, pieces: Place['pieces']): Place => ({
    name: `${what} of process ${pid}`,
    pieces,
  });
  return [
    place('environment', () => unlessGone(() => [readFileSync(`/proc/${pid}/environ`)])),
    place('command line', () => unlessGone(() => [readFileSync(`/proc/${pid}/cmdline`)])),
    place('memory', () => memoryOf(pid)),
  ];
}

/** Processes whose environment holds the text, all that came of them, and all that see the same ones. */
export function processesOf(text: string): number[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  const own = namespaceOf(process.pid);
  const found = new Set(
    all.filter((pid) => pid !== process.pid && environmentOf(pid).includes(text)),
  );
  const namespaces = new Set([...found].map(namespaceOf).filter((name) => name !== own));
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const pid of all) {
      if (found.has(parentOf(pid)) || namespaces.has(namespaceOf(pid))) found.add(pid);
    }
  }
  return [...found];
}

/** What it may read, but for the kernel's own, devices, and files that are mapped as they are. */
function* memoryOf(pid: number): Generator<Buffer> {
  const [maps] = unlessGone(() => [readFileSync(`/proc/${pid}/maps`)]);
  if (maps === undefined || maps.length === 0) return;
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const line of maps.toString().split('\n')) {
      const region = /^([\da-f]+)-([\da-f]+) r(\S+) \S+ \S+ \d+\s*(.*)$/.exec(line);
      const [, start, end, mode = '', path = ''] = region ?? [];
      if (region === null || /^\[v|^\/dev\//.test(path)) continue;
      if (mode.startsWith('-') && path.startsWith('/') && !path.endsWith(' (deleted)')) continue;
      yield* regionOf(memory, Number(`0x${start}`), Number(`0x${end}`));
    }
  } finally {
    closeSync(memory);
  }
}

function* regionOf(memory: number, start: number, end: number): Generator<Buffer> {
  for (let from = start; from < end; from += PIECE_BYTES - OVERLAP_BYTES) {
    const piece = Buffer.alloc(Math.min(PIECE_BYTES, end - from));
    try {
      yield piece.subarray(0, readSync(memory, piece, 0, piece.length, from));
    } catch (error) {
      // Unmapped since, or a guard page.
      if (!['EIO', 'EFAULT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? ''))
        throw error;
      return;
    }
    if (from + piece.length >= end) return;
  }
}

/** Empty for processes that are not ours to look at: they are in no family, or are told by it. */
function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

function parentOf(pid: number): number {
  const stat = unlessGone(() => [readFileSync(`/proc/${pid}/stat`)]).join('');
  return Number(/\) . (\d+)/.exec(stat)?.[1] ?? -1);
}

function namespaceOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return `none of ${pid}`;
  }
}

/** Processes end while they are looked at; the kernel's own show nothing. */
function unlessGone(read: () => Buffer[]): Buffer[] {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
