import { closeSync, constants, mkdirSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createBashTool } from './bash-tool.ts';
import { SETUP_SCOPE } from './call-key.ts';
import { createCloneTool } from './clone-repository.ts';
import { endProcesses } from './end-processes.ts';
import { createFileTools } from './file-tools.ts';
import { createHand } from './hand.ts';
import { createHandProcesses } from './hand-processes.ts';
import { openJournal } from './journal.ts';
import { createOutputPipe } from './output-pipe.ts';
import { runProgram } from './run-program.ts';
import { serveHand } from './serve.ts';
import type { HandSettings } from './settings.ts';
import type { HandTool } from './tool.ts';
import { withNotice } from './with-notice.ts';

// The daemon inside a sandbox. It speaks over its standard input and output and ends, with every
// process of the hand, when its input does.

const PRELOAD_AFTER_MS = 500;

/** Serves one hand over the standard streams. */
async function main(settings: HandSettings): Promise<void> {
  const { instance, workspace, journal, output, temporary } = settings;
  for (const folder of [workspace, journal, output, temporary]) {
    mkdirSync(folder, { recursive: true });
  }
  const processes = createHandProcesses({ instance, ownsNamespace: settings.owns_namespace });
  const roots = [output, temporary, ...settings.roots];
  const files = createFileTools({ folder: workspace, roots });
  const variables = { ...ownVariables(), ...givenVariables(settings) };
  const bash = createBashTool({
    program: ['/bin/bash'],
    folder: workspace,
    outputFolder: output,
    pipe: createOutputPipe(`${temporary}/.output-${process.pid}`),
    processes,
    variables,
  });
  const calls = openJournal(journal);
  const tools = { bash, ...files.tools };
  const { notice } = settings;
  const hand = createHand({
    journal: calls,
    tools: notice === undefined ? tools : withNotice(tools, notice),
  });
  const setup = createHand({ journal: calls, tools: setupTools(workspace, variables) });
  const leave = async (): Promise<void> => {
    for (const one of [hand, setup]) one.stopKeeping();
    await endProcesses(processes.all, { graceMs: 0 });
    process.exit();
  };
  process.stdin.on('end', () => void leave());
  process.stdin.on('error', () => void leave());
  serveHand(
    {
      run: hand.run,
      cancel: hand.cancel,
      setUp: (call, watcher) => setup.run(SETUP_SCOPE, call, watcher),
    },
    {
      type: 'hello',
      instance,
      sockets_blocked: await areSocketsBlocked(),
      kernel_settings_blocked: areKernelSettingsBlocked(),
    },
    { input: process.stdin, output: process.stdout },
  );
  setTimeout(() => void files.preload(), PRELOAD_AFTER_MS).unref();
}

/** What provisioning may ask for; out of reach of sessions. */
function setupTools(
  workspace: string,
  variables: NodeJS.ProcessEnv,
): Readonly<Record<string, HandTool>> {
  return {
    clone_repository: createCloneTool({
      variables,
      folder: workspace,
      run: runProgram,
      wordsOfPath: (path, error) =>
        `${path} cannot be written (${error instanceof Error ? error.message : String(error)})`,
    }),
  };
}

/** What this process was given, without what is the daemon's own. */
function ownVariables(): NodeJS.ProcessEnv {
  const { NODE_COMPILE_CACHE: _own, ...variables } = process.env;
  return variables;
}

function givenVariables({ variables }: HandSettings): NodeJS.ProcessEnv {
  return variables === undefined ? {} : JSON.parse(readFileSync(variables, 'utf8'));
}

/** Tries what isolation must refuse: a socket to a path, which could be a host's. */
function areSocketsBlocked(): Promise<boolean> {
  return new Promise((resolve) => {
    connect({ path: '/no-such-socket' }).on('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'EPERM' || error.code === 'EACCES');
    });
  });
}

/**
 * The program that the kernel starts, outside every sandbox, when a process crashes is such a
 * setting. Opening it changes nothing.
 */
function areKernelSettingsBlocked(): boolean {
  try {
    closeSync(openSync('/proc/sys/kernel/core_pattern', constants.O_WRONLY));
    return false;
  } catch {
    return true;
  }
}

// Loaded as a module, by whoever fills the cache of compiled code, it does nothing.
if (import.meta.main) await main(JSON.parse(process.argv[2] ?? '{}') as HandSettings);
