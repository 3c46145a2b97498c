import { mkdirSync } from 'node:fs';
import type { HandConfiguration } from '../../hand/configuration.ts';
import { createFileTools } from '../../hand/file-tools.ts';
import { createHandProcesses } from '../../hand/hand-processes.ts';
import { openJournal } from '../../hand/journal.ts';
import type { ServedHand } from '../../hand/serve.ts';
import { trustVariables } from '../../hand/trust.ts';
import { commandVariables } from './command-variables.ts';
import { createEndProcessesTool } from './end-processes-tool.ts';
import { SANDBOX } from './layout.ts';
import { withPastCalls } from './past-journal.ts';
import { preparePodBash } from './pod-bash.ts';
import { createPodHand, isSetupKey } from './pod-hand.ts';
import { createSetupTools } from './setup-tools.ts';

const PRELOAD_AFTER_MS = 500;
/** As a process ends by SIGTERM that does not heed it. */
const TERMINATED = 143;

/** The hand of this sandbox, which this process is the daemon of; it is nobody's yet. */
export function openSandboxHand(instance: string): ServedHand {
  const { workspace, home, session, uploads, outputs, output, temporary } = SANDBOX;
  const { journal, past } = SANDBOX;
  for (const folder of [journal, output, uploads, outputs]) mkdirSync(folder, { recursive: true });
  const processes = createHandProcesses({ instance, ownsNamespace: true });
  const files = createFileTools({ folder: workspace, roots: [home, session, output, temporary] });
  const image = { ...process.env };
  const createBash = preparePodBash(processes, commandVariables(image, {}));
  // The toolset looks for `rg` there, and does without when there is none.
  process.env['PATH'] = `${image['PATH'] ?? ''}:${SANDBOX.tools}`;
  // At once, and every process of the sandbox with it: a call that its end cuts short must be told
  // as lost, not as a command that failed. Not with 0, which would make an evicted pod a success.
  process.on('SIGTERM', () => process.exit(TERMINATED));
  setTimeout(() => void files.preload(), PRELOAD_AFTER_MS).unref();
  const variablesOf = ({ variables, authority }: HandConfiguration): NodeJS.ProcessEnv => {
    const trust =
      authority === undefined
        ? {}
        : trustVariables(SANDBOX.trust, authority, image['SSL_CERT_FILE']);
    return commandVariables(image, { ...variables, ...trust });
  };
  return createPodHand({
    journal: withPastCalls(openJournal(journal), { folder: past, isOwn: isSetupKey }),
    memory: SANDBOX.configuration,
    createTools: (configuration) => ({
      bash: createBash(variablesOf(configuration)),
      ...files.tools,
    }),
    createSetupTools: (configuration) => ({
      ...createSetupTools({ variables: variablesOf(configuration) }),
      end_processes: createEndProcessesTool(processes),
    }),
  });
}
