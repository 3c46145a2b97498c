import { mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { createFileTools } from '../../hand/file-tools.ts';
import { createHandProcesses } from '../../hand/hand-processes.ts';
import { openJournal } from '../../hand/journal.ts';
import { serveHand } from '../../hand/serve.ts';
import { commandVariables } from './command-variables.ts';
import { createEndProcessesTool } from './end-processes-tool.ts';
import { SANDBOX } from './layout.ts';
import { withPastCalls } from './past-journal.ts';
import { preparePodBash } from './pod-bash.ts';
import { createPodHand, isSetupKey } from './pod-hand.ts';
import { createSetupTools } from './setup-tools.ts';

// The hand's daemon in a pod. Streams come and go by its socket (each is an exec of `attach`), and
// it lives as long as the pod. Its argument is the pod's uid, which is the instance; what it is for
// comes by the first message.

const PRELOAD_AFTER_MS = 500;
/** As a process ends by SIGTERM that does not heed it. */
const TERMINATED = 143;

function main(instance: string): void {
  const { workspace, home, session, uploads, outputs, output, temporary, socket } = SANDBOX;
  const { journal, past } = SANDBOX;
  for (const folder of [journal, output, uploads, outputs]) mkdirSync(folder, { recursive: true });
  const processes = createHandProcesses({ instance, ownsNamespace: true });
  const files = createFileTools({ folder: workspace, roots: [home, session, output, temporary] });
  const createBash = preparePodBash(processes);
  const image = { ...process.env };
  // The toolset looks for `rg` there, and does without when there is none.
  process.env['PATH'] = `${image['PATH'] ?? ''}:${SANDBOX.tools}`;
  const hand = createPodHand({
    journal: withPastCalls(openJournal(journal), { folder: past, isOwn: isSetupKey }),
    memory: SANDBOX.configuration,
    createTools: ({ variables }) => ({
      bash: createBash(commandVariables(image, variables)),
      ...files.tools,
    }),
    createSetupTools: ({ variables }) => ({
      ...createSetupTools({ variables: commandVariables(image, variables) }),
      end_processes: createEndProcessesTool(processes),
    }),
  });

  // At once, and every process of the pod with it: a call that its pod's end cuts short must be told
  // as lost, not as a command that failed. Not with 0, which would make an evicted pod a success.
  process.on('SIGTERM', () => process.exit(TERMINATED));
  rmSync(socket, { force: true });
  createServer((stream) => {
    const hello = { type: 'hello', instance, sockets_blocked: false } as const;
    serveHand(hand, hello, { input: stream, output: stream });
  }).listen(socket);
  setTimeout(() => void files.preload(), PRELOAD_AFTER_MS).unref();
}

// Loaded as a module, by whoever fills the cache of compiled code, it does nothing.
const [instance] = process.argv.slice(2);
if (import.meta.main && instance !== undefined) main(instance);
