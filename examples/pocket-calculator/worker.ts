import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, Worker } from '@temporalio/worker';
import { createCalculatorHand } from './calculator-hand.ts';

const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
const connection = await NativeConnection.connect(connectionOptions);
const folder = process.argv[2] ?? join(tmpdir(), 'drover-pocket-calculators');
const worker = await Worker.create({
  connection,
  namespace,
  taskQueue: 'drover-hands-emulator',
  activities: createCalculatorHand(folder),
});
console.log(`pocket calculators in ${folder}: serving drover-hands-emulator`);
await worker.run();
await connection.close();
