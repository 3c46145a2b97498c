import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { createBashTool } from '../../hand/bash-tool.ts';
import { createHandProcesses, HAND_VARIABLE } from '../../hand/hand-processes.ts';
import { openJournal } from '../../hand/journal.ts';
import { createOutputPipe } from '../../hand/output-pipe.ts';
import { instanceIn } from '../../hand/visit.ts';
import { createEndProcessesTool } from '../../k8s/sandbox/end-processes-tool.ts';
import { createPodHand } from '../../k8s/sandbox/pod-hand.ts';
import { serveWorkers } from '../../k8s/sandbox/serve-workers.ts';
import { serveTransfer } from '../../k8s/sandbox/transfer.ts';
import { readTransfer } from '../../k8s/sandbox/transfer-frames.ts';

// The daemon of a hand in a container, in folders of a test: containers need an engine.

interface Order {
  readonly container: string;
  readonly doors: string;
  /** New for each start. */
  readonly folder: string;
}

const { container, doors, folder } = JSON.parse(process.argv[2] ?? '{}') as Order;
const places = {
  workspace: { name: 'workspace', folder: `${folder}/workspace` },
  outputs: { name: 'outputs', folder: `${folder}/outputs` },
  past: { name: 'past', folder: `${folder}/past` },
  journal: `${folder}/journal`,
  state: folder,
};
for (const path of [places.workspace.folder, places.outputs.folder, places.journal]) {
  mkdirSync(path, { recursive: true });
}
const instance = instanceIn(container, randomUUID());
const processes = createHandProcesses({ instance, ownsNamespace: false });
const bash = createBashTool({
  program: ['/bin/bash'],
  folder: places.workspace.folder,
  outputFolder: folder,
  pipe: createOutputPipe(`${folder}/.output`),
  processes,
  variables: { ...process.env, [HAND_VARIABLE]: instance },
});
const hand = createPodHand({
  journal: openJournal(places.journal),
  memory: `${folder}/configuration.json`,
  createTools: () => ({ bash }),
  createSetupTools: () => ({ end_processes: createEndProcessesTool(processes) }),
});
serveWorkers({
  instance,
  hand,
  doors,
  transfer: (stream) =>
    void serveTransfer({ frames: readTransfer(stream), output: stream, places }).finally(() =>
      stream.end(),
    ),
  end: () => process.exit(0),
});
