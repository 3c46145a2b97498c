import { closeSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { removeHandAccess } from './hand-access.ts';
import { openHandFolder } from './hand-folder.ts';
import { IsolationMissingError } from './isolation.ts';
import { fillProgramCache } from './program-cache.ts';
import { repairHandFolder } from './repair-hand-folder.ts';
import { supervise } from './supervisor.ts';
import { birthOf, claim } from './supervisor-record.ts';
import { type SupervisorReport, SupervisorSettings } from './supervisor-settings.ts';

// The supervisor of one hand: a process of its own, which outlives the worker that started it.

const REPORT_FILE = 3;
const FILL_CACHE_AFTER_MS = 1_000;

const settings = SupervisorSettings.parse(JSON.parse(process.argv[2] ?? '{}'));
const { instance, generation, isolation } = settings;
const folder = openHandFolder(settings.state_folder, settings);
const socket = join(folder.sockets, instance.slice(0, 8));
const isOurs = claim(folder.root, {
  pid: process.pid,
  birth: birthOf(process.pid) ?? '',
  instance,
  generation,
  isolation,
  socket,
});
process.on('SIGHUP', () => {});
if (isOurs) await run();
else report({ type: 'taken' });

async function run(): Promise<void> {
  try {
    repairHandFolder(folder);
    const { ended } = await supervise(settings, folder, socket);
    report({ type: 'ready' });
    console.log(`hand ${settings.name} of ${settings.session_id}: ready as ${instance}`);
    await Promise.race([ended, fillCacheLater()]);
    console.log(`ended: ${await ended}`);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    console.error(message);
    const isMissing = error instanceof IsolationMissingError;
    report({ type: isMissing ? 'isolation_missing' : 'failed', message });
  }
  removeHandAccess(folder, instance);
  process.exit();
}

/** Not while the first calls are made. A cache that cannot be filled is no fault of the hand. */
async function fillCacheLater(): Promise<void> {
  await delay(FILL_CACHE_AFTER_MS);
  await fillProgramCache(settings.state_folder).catch((error: unknown) => console.error(error));
}

/** Whoever started this may be gone by now; the hand stays for the one who comes next. */
function report(line: SupervisorReport): void {
  try {
    writeSync(REPORT_FILE, `${JSON.stringify(line)}\n`);
    closeSync(REPORT_FILE);
  } catch (error) {
    console.error(`not reported: ${error instanceof Error ? error.message : error}`);
  }
}
