import type { ExecuteInput, ProvisionInput } from '../../protocol/hand.ts';
import { openContainerWorker } from './container-worker.ts';

// A worker of hands in containers, to be killed: does one thing and prints the outcome.

interface Order {
  readonly folder: string;
  readonly provision?: ProvisionInput;
  readonly execute?: ExecuteInput;
}

const { folder, provision, execute } = JSON.parse(process.argv[2] ?? '{}') as Order;
const provider = await openContainerWorker(folder);
const never = new AbortController().signal;
if (provision !== undefined) console.log(JSON.stringify(await provider.provision(provision)));
if (execute !== undefined) {
  const options = { interrupt: never, detach: never, onProgress: () => {} };
  console.log(JSON.stringify(await provider.execute(execute, options)));
}
setInterval(() => {}, 1_000);
