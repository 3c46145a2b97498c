import { accessSync, constants, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SandboxRuntimeConfig } from '@anthropic-ai/sandbox-runtime';
import { egressFor, egressThrough } from './egress.ts';
import type { HandFolder } from './hand-folder.ts';
import { programCache } from './program-cache.ts';
import { neededPaths } from './readable-paths.ts';
import { sessionMounts } from './session-paths.ts';
import { socketFilter } from './socket-filter.ts';
import type { SupervisorSettings } from './supervisor-settings.ts';

/** This machine cannot isolate a hand. The message says what to install. */
export class IsolationMissingError extends Error {
  override readonly name = 'IsolationMissingError';
}

/** Programs that isolation needs, and the packages they come in (Debian, Ubuntu, Fedora alike). */
const PACKAGES = { bwrap: 'bubblewrap', socat: 'socat', rg: 'ripgrep' } as const;

export interface IsolatedCommand {
  /** For a shell. */
  readonly command: string;
  /** Ends the proxies. */
  close(): Promise<void>;
}

/**
 * Wraps a command so that it runs isolated: writes only in the hand's folder, no reading of
 * the hidden paths, no unix sockets, no network but what the environment allows.
 *
 * @param gatewayPort Where everything that leaves goes, instead of what the environment allows: the
 *   gateway knows what that is.
 * @throws {IsolationMissingError}
 */
export async function isolate(
  command: string,
  settings: SupervisorSettings,
  folder: HandFolder,
  gatewayPort?: number,
): Promise<IsolatedCommand> {
  requirePrograms(settings.path);
  const { SandboxManager } = await import('@anthropic-ai/sandbox-runtime');
  const egress =
    gatewayPort === undefined ? egressFor(settings.networking) : egressThrough(gatewayPort);
  const config = configFor(settings, folder, egress?.network);
  if (!SandboxManager.isSupportedPlatform()) throw missing('this platform has no sandbox');
  const wrap = async (): Promise<string> => {
    if (egress !== undefined) await SandboxManager.initialize(config, egress.ask);
    const options = { commandId: 'hand' };
    return SandboxManager.wrapWithSandbox(command, '/bin/bash', config, undefined, options);
  };
  const wrapped = await wrap().catch((error: unknown) => {
    throw missing(error instanceof Error ? error.message : String(error));
  });
  // Without this helper the runtime goes on, with unix sockets open.
  if (!wrapped.includes('apply-seccomp')) {
    throw missing(SandboxManager.checkDependencies().errors.join('; ') || 'no seccomp helper');
  }
  return {
    command: withOwnOptions(wrapped, folder),
    async close() {
      SandboxManager.cleanupAfterCommand();
      if (egress !== undefined) await SandboxManager.reset();
    },
  };
}

const RUNTIME_PROGRAM = 'bwrap ';
const ROOT_MOUNT = '--ro-bind / /';
const FILTER_FILE = 9;

/** The runtime's own filter knows of AF_UNIX only, and its mounts of no other place than the real one. */
function withOwnOptions(wrapped: string, folder: HandFolder): string {
  const filter = socketFilter();
  if (filter === undefined || !wrapped.startsWith(RUNTIME_PROGRAM)) {
    throw missing(`sockets cannot be filtered on ${process.arch}`);
  }
  const path = join(folder.root, 'sockets.filter');
  writeFileSync(path, filter, { mode: 0o600 });
  // Before the runtime's own: what it hides in there stays hidden.
  const mounts = `${ROOT_MOUNT} ${sessionMounts(folder)} `;
  const rest = wrapped.slice(RUNTIME_PROGRAM.length).replace(`${ROOT_MOUNT} `, () => mounts);
  if (!rest.includes(mounts)) throw missing('the runtime mounts its root in another way');
  return `${RUNTIME_PROGRAM} --seccomp ${FILTER_FILE} ${rest} ${FILTER_FILE}<'${path}'`;
}

function configFor(
  settings: SupervisorSettings,
  folder: HandFolder,
  network: SandboxRuntimeConfig['network'] = { allowedDomains: [], deniedDomains: [] },
): SandboxRuntimeConfig {
  return {
    network,
    filesystem: {
      denyRead: [...settings.hidden_paths],
      allowRead: [
        ...neededPaths(),
        folder.session,
        folder.sockets,
        programCache(settings.state_folder),
      ],
      allowWrite: [folder.sandbox, folder.outputs],
      // The runtime makes this one writable for everyone.
      denyWrite: ['/tmp/claude'],
      allowGitConfig: true,
    },
    // The folder it would be looked through is empty: the supervisor's own.
    mandatoryDenySearchDepth: 1,
  };
}

function requirePrograms(path: string): void {
  const absent = Object.entries(PACKAGES).filter(([program]) => !isOnPath(program, path));
  if (absent.length === 0) return;
  const programs = absent.map(([program]) => program).join(', ');
  throw missing(
    `${programs} not found on PATH`,
    absent.map(([, name]) => name),
  );
}

function isOnPath(program: string, path: string): boolean {
  return path.split(':').some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The error in full words: what is wrong, what to install, and the way around it. */
export function missing(
  problem: string,
  packages: readonly string[] = Object.values(PACKAGES),
): IsolationMissingError {
  return new IsolationMissingError(
    `This machine cannot isolate a local hand: ${problem}. ` +
      `Install ${packages.join(' ')} (Debian, Ubuntu: apt-get install ${packages.join(' ')}) and allow ` +
      'unprivileged user namespaces. To run hands without isolation, with all that this user may ' +
      'do, start the worker with DROVER_SANDBOX=unconfined.',
  );
}
