import { type ChildProcess, spawn } from 'node:child_process';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { HAND_VARIABLE } from '../../../hand/hand-processes.ts';
import type { HandSettings } from '../../../hand/settings.ts';
import { openCommandAccess } from './command-access.ts';
import type { HandFolder } from './hand-folder.ts';
import { makeHandGroup, removeHandGroup } from './hand-group.ts';
import { isolate } from './isolation.ts';
import { SET_LIMITS } from './limits.ts';
import { programCache } from './program-cache.ts';
import { quote } from './quote.ts';
import { HAND_PROGRAM } from './readable-paths.ts';
import { sessionPaths } from './session-paths.ts';
import type { SupervisorSettings } from './supervisor-settings.ts';

/** The hand's daemon as its supervisor holds it: by its standard streams. */
export interface Daemon {
  readonly input: Writable;
  readonly output: Readable;
  readonly errors: Readable;
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  kill(): void;
  /** Ends what stands around it. */
  close(): Promise<void>;
}

/** Files that some ancestor left open, the supervisor's own report among them, stay outside. */
const CLOSE_INHERITED_FILES =
  'for file in $(ls /proc/$$/fd); do ((file > 2)) && eval "exec $file>&-"; done';

/**
 * A sandbox of root has root's hold on files of the kernel, whatever its namespace: they become
 * read-only, and the capabilities that could undo that go. In mounts of its own, so that nothing
 * changes on this machine if the sandbox is none; the daemon tries whether it worked.
 */
const GIVE_UP_KERNEL = [
  'exec unshare --mount --propagation private /bin/sh -c',
  quote(
    'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && ' +
      'exec setpriv --bounding-set -all --inh-caps -all "$@"',
  ),
  'sh',
].join(' ');

/** @throws {IsolationMissingError} */
export async function startDaemon(
  settings: SupervisorSettings,
  folder: HandFolder,
): Promise<Daemon> {
  const isIsolated = settings.isolation === 'required';
  const access = await openCommandAccess(settings, folder);
  const handSettings: HandSettings = {
    instance: settings.instance,
    workspace: folder.workspace,
    journal: folder.journal,
    output: folder.output,
    temporary: folder.temporary,
    roots: sessionPaths(settings.isolation, folder).roots,
    ...(settings.notice === undefined ? {} : { notice: settings.notice }),
    owns_namespace: isIsolated,
    ...(access === undefined ? {} : { variables: access.variables }),
  };
  // The runtime sets a TMPDIR of its own for networked sandboxes.
  const command = [
    isIsolated ? SET_LIMITS : '',
    `cd ${quote(folder.workspace)} && export TMPDIR=${quote(folder.temporary)} &&`,
    isIsolated && process.getuid?.() === 0 ? GIVE_UP_KERNEL : 'exec',
    ...[process.execPath, HAND_PROGRAM, JSON.stringify(handSettings)].map(quote),
  ].join(' ');
  const wrapped = isIsolated ? await isolate(command, settings, folder, access?.port) : undefined;
  const groups = isIsolated ? makeHandGroup(settings.instance) : [];
  const script = [
    CLOSE_INHERITED_FILES,
    ...groups.map((group) => `echo $$ > ${quote(join(group, 'cgroup.procs'))}`),
    wrapped === undefined ? command : `exec ${wrapped.command}`,
  ].join('\n');
  const child = spawn('/bin/bash', ['-c', script], {
    cwd: folder.sockets,
    env: environmentFor(settings, folder),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  return toDaemon(child, async () => {
    removeHandGroup(settings.instance);
    await wrapped?.close();
    access?.close();
  });
}

/** All that a hand gets of this machine's environment: nothing is inherited. */
function environmentFor(settings: SupervisorSettings, folder: HandFolder): NodeJS.ProcessEnv {
  const { username } = userInfo();
  return {
    PATH: `${dirname(process.execPath)}:${settings.path}`,
    HOME: folder.home,
    TMPDIR: folder.temporary,
    USER: username,
    LOGNAME: username,
    SHELL: '/bin/bash',
    LANG: 'C.UTF-8',
    TERM: 'dumb',
    NODE_COMPILE_CACHE: programCache(settings.state_folder),
    [HAND_VARIABLE]: settings.instance,
  };
}

function toDaemon(child: ChildProcess, close: () => Promise<void>): Daemon {
  const { stdin, stdout, stderr } = child;
  if (stdin === null || stdout === null || stderr === null) throw new TypeError('no streams');
  stdin.on('error', () => {});
  return {
    input: stdin,
    output: stdout,
    errors: stderr,
    ended: new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    }),
    kill: () => void child.kill('SIGKILL'),
    close,
  };
}
