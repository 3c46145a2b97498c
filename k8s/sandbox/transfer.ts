import { readFileSync, renameSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { listOutputs, readOutput } from './collect-outputs.ts';
import { packWorkspace } from './pack-workspace.ts';
import { wordsOfPath } from './path-failure.ts';
import { PathRefusedError, receiveFile } from './receive-file.ts';
import {
  expectMessage,
  readContent,
  readTransfer,
  type TransferFrame,
  type TransferMessage,
  type TransferOrder,
  writeContent,
  writeMessage,
} from './transfer-frames.ts';
import { PLACES, type TransferPlaces } from './transfer-places.ts';
import { ArchiveError, unpackWorkspace, writeDurably } from './unpack-workspace.ts';

// Moves bulk in and out of a sandbox: one order by standard input, then `transfer-frames.ts`.

const ALIVE_MS = 2_000;
const OTHER_ENDS_MS = 10;
const PROGRAM = 'transfer.ts';

interface Transfer {
  readonly frames: AsyncIterator<TransferFrame>;
  readonly output: Writable;
  readonly places: TransferPlaces;
}

export async function serveTransfer(transfer: Transfer): Promise<void> {
  const { frames, output } = transfer;
  const beat = (): void => {
    // Who does not read what is there would not read this.
    if (!output.writableNeedDrain) void writeMessage(output, { type: 'alive' }).catch(() => {});
  };
  const alive = setInterval(beat, ALIVE_MS);
  try {
    await obey(
      (await expectMessage(frames, 'pack', 'unpack', 'collect', 'receive')) as TransferOrder,
      transfer,
    );
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const type = error instanceof ArchiveError ? 'damaged' : 'failed';
    await writeMessage(output, { type, message }).catch(() => {});
  } finally {
    clearInterval(alive);
  }
}

async function obey(order: TransferOrder, transfer: Transfer): Promise<void> {
  switch (order.type) {
    case 'pack':
      return pack(order.excludes, transfer);
    case 'unpack':
      return unpack(order.snapshot, transfer);
    case 'receive':
      return receive(order.path, transfer);
    default:
      return collect(transfer);
  }
}

async function pack(excludes: readonly string[], { output, places }: Transfer): Promise<void> {
  const { content, summary } = await packWorkspace(places, excludes);
  await writeContent(output, content, summary);
}

/** A workspace that is restored already is the session's by now. */
async function unpack(snapshot: string, { frames, output, places }: Transfer): Promise<void> {
  const mark = `${places.state}/restored.json`;
  if (readMark(mark) === snapshot) return writeMessage(output, { type: 'restored' });
  await replaceOther(`${places.state}/restoring.json`);
  await writeMessage(output, { type: 'send' });
  const { workspace, outputs, past } = places;
  await unpackWorkspace(readContent(frames), [workspace, outputs, past]);
  writeDurably(`${mark}.draft`, JSON.stringify({ snapshot }));
  renameSync(`${mark}.draft`, mark);
  await writeMessage(output, { type: 'restored' });
}

/** An attempt that was given up may still be at it. */
async function replaceOther(path: string): Promise<void> {
  const other = readPid(path);
  for (let isFirst = true; other !== undefined && isTransfer(other); isFirst = false) {
    if (isFirst) process.kill(other, 'SIGKILL');
    await delay(OTHER_ENDS_MS);
  }
  writeDurably(path, JSON.stringify({ pid: process.pid }));
}

function readPid(path: string): number | undefined {
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) as { readonly pid: number }).pid;
  } catch {
    return undefined;
  }
}

/** A process that has ended, or another one of its number, is none. */
function isTransfer(pid: number): boolean {
  try {
    return pid !== process.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(PROGRAM);
  } catch {
    return false;
  }
}

function readMark(path: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) as { readonly snapshot: string }).snapshot;
  } catch {
    return undefined;
  }
}

async function receive(path: string, { frames, output }: Transfer): Promise<void> {
  try {
    await receiveFile(path, readContent(frames));
    await writeMessage(output, { type: 'received' });
  } catch (error) {
    if (!(error instanceof PathRefusedError)) throw error;
    await writeMessage(output, { type: 'refused', message: wordsOfPath(path, error) });
  }
}

async function collect({ frames, output, places }: Transfer): Promise<void> {
  const { folder } = places.outputs;
  const listing = await listOutputs(folder);
  await writeMessage(output, { type: 'listing', ...listing });
  const wanted = pathsOf(await expectMessage(frames, 'want'));
  for (const { path } of listing.files) {
    if (wanted.has(path)) await writeContent(output, readOutput(folder, path));
  }
}

function pathsOf({ paths }: TransferMessage): ReadonlySet<unknown> {
  return new Set(Array.isArray(paths) ? paths : []);
}

if (import.meta.main && process.argv.includes('--serve')) {
  await serveTransfer({
    frames: readTransfer(process.stdin),
    output: process.stdout,
    places: PLACES,
  });
  // Standard input stays open, and what was written has been read by now or never will be.
  process.stdout.end(() => process.exit());
}
