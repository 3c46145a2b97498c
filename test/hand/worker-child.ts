import { createLocalProvider } from '../../activities/hands/local/local-provider.ts';
import type { ExecuteInput, ProvisionInput } from '../../protocol/hand.ts';

// A worker's place in tests that kill it: does one thing and prints the outcome.

interface Order {
  readonly stateFolder: string;
  readonly isolation: 'required' | 'unconfined';
  readonly provision?: ProvisionInput;
  readonly execute?: ExecuteInput;
}

const order = JSON.parse(process.argv[2] ?? '{}') as Order;
const provider = createLocalProvider(order);
const never = new AbortController().signal;
if (order.provision !== undefined) {
  console.log(JSON.stringify(await provider.provision(order.provision)));
}
if (order.execute !== undefined) {
  const options = { interrupt: never, detach: never, onProgress: () => {} };
  console.log(JSON.stringify(await provider.execute(order.execute, options)));
}
provider.close();
