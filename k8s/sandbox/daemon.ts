import { mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { createBashTool } from '../../hand/bash-tool.ts';
import { createFileTools } from '../../hand/file-tools.ts';
import { createHand } from '../../hand/hand.ts';
import { createHandProcesses } from '../../hand/hand-processes.ts';
import { openJournal } from '../../hand/journal.ts';
import { createOutputPipe } from '../../hand/output-pipe.ts';
import { serveHand } from '../../hand/serve.ts';
import { SANDBOX } from './layout.ts';
import { withNewSandboxNotice } from './new-sandbox-notice.ts';

// The hand's daemon in a pod. Streams come and go by its socket (each is an exec of `attach`), and
// it lives as long as the pod. Arguments: the pod's uid, which is the instance, and the generation.

const PRELOAD_AFTER_MS = 500;
/** As a process ends by SIGTERM that does not heed it. */
const TERMINATED = 143;

function main(instance: string, generation: number): void {
  const { workspace, journal, output, temporary, socket } = SANDBOX;
  for (const folder of [journal, output]) mkdirSync(folder, { recursive: true });
  const processes = createHandProcesses({ instance, ownsNamespace: true });
  const files = createFileTools({ folder: workspace, roots: [output, temporary] });
  const bash = createBashTool({
    folder: workspace,
    outputFolder: output,
    pipe: createOutputPipe(`${temporary}/.output-${process.pid}`),
    processes,
  });
  const tools = { bash, ...files.tools };
  const hand = createHand({
    journal: openJournal(journal),
    tools: generation === 1 ? tools : withNewSandboxNotice(tools),
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
const [instance, generation] = process.argv.slice(2);
if (import.meta.main && instance !== undefined) main(instance, Number(generation));
