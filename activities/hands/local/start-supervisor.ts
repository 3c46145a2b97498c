import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { HAND_VARIABLE } from '../../../hand/hand-processes.ts';
import { openHandFolder } from './hand-folder.ts';
import { programCache } from './program-cache.ts';
import { SupervisorReport, type SupervisorSettings } from './supervisor-settings.ts';

const PROGRAM = fileURLToPath(new URL('./supervisor-main.ts', import.meta.url));

/**
 * Starts a supervisor that outlives this process, and waits for what it reports: that its hand
 * answers, or why not.
 */
export async function startSupervisor(settings: SupervisorSettings): Promise<SupervisorReport> {
  const folder = openHandFolder(settings.state_folder, settings);
  const log = openSync(folder.log, 'a', 0o600);
  try {
    const child = spawn(process.execPath, [PROGRAM, JSON.stringify(settings)], {
      cwd: folder.sockets,
      detached: true,
      stdio: ['ignore', log, log, 'pipe'],
      // Nothing is inherited: a hand that is not isolated could read it there.
      env: {
        PATH: `${dirname(process.execPath)}:${settings.path}`,
        HOME: folder.home,
        TMPDIR: folder.sockets,
        LANG: 'C.UTF-8',
        NODE_COMPILE_CACHE: programCache(settings.state_folder),
        // By which its helpers are found when it was killed.
        [HAND_VARIABLE]: settings.instance,
      },
    });
    child.unref();
    const failed = new Promise<SupervisorReport>((resolve) => {
      child.once('error', ({ message }) => resolve({ type: 'failed', message }));
    });
    return await Promise.race([failed, readReport(child.stdio[3] as Readable, folder.log)]);
  } finally {
    closeSync(log);
  }
}

async function readReport(stream: Readable, log: string): Promise<SupervisorReport> {
  for await (const line of createInterface({ input: stream })) {
    stream.destroy();
    return toReport(line);
  }
  return { type: 'failed', message: `it ended before its hand was ready; see ${log}` };
}

function toReport(line: string): SupervisorReport {
  try {
    return SupervisorReport.parse(JSON.parse(line));
  } catch {
    return { type: 'failed', message: `it reported nonsense: ${line.slice(0, 200)}` };
  }
}
