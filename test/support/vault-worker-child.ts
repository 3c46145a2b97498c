// A vault worker as a process of its own, to be killed or stopped: its order is one line of JSON.
import { text } from 'node:stream/consumers';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { openStore } from '../../store/open-store.ts';
import { readVaultSettings } from '../../vault/settings.ts';
import { runVaultWorker } from './run-vault-worker.ts';

Runtime.install({ logger: new DefaultLogger('ERROR') });
const order = JSON.parse(await text(process.stdin));
const end = await runVaultWorker({
  address: order.address,
  sessionQueue: order.sessionQueue,
  settings: readVaultSettings(order.variables, order.folder),
  openStore: () => openStore(order.store),
});
process.once('SIGTERM', () => {
  console.log('stopping');
  void end();
});
console.log('polling');
