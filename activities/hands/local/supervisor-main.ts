import { closeSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openHandFolder } from './hand-folder.ts';
import { IsolationMissingError } from './isolation.ts';
import { supervise } from './supervisor.ts';
import { birthOf, claim } from './supervisor-record.ts';
import type { SupervisorReport, SupervisorSettings } from './supervisor-settings.ts';

// The supervisor of one hand: a process of its own, which outlives the worker that started it.

const REPORT_FILE = 3;

const settings = JSON.parse(process.argv[2] ?? '{}') as SupervisorSettings;
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
    const { ended } = await supervise(settings, folder, socket);
    report({ type: 'ready' });
    console.log(`hand ${settings.name} of ${settings.session_id}: ready as ${instance}`);
    console.log(`ended: ${await ended}`);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    console.error(message);
    const isMissing = error instanceof IsolationMissingError;
    report({ type: isMissing ? 'isolation_missing' : 'failed', message });
  }
  process.exit();
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
