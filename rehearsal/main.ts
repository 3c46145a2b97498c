import { builtInTask } from './built-in-task.ts';
import { commandTask } from './command-task.ts';
import { startRehearsalServer } from './server.ts';

// A rehearsal model for a stack without a key: node rehearsal/main.ts PORT

const port = Number(process.argv[2] ?? 0);
const player = commandTask(builtInTask());
const server = await startRehearsalServer({ player, port, host: '0.0.0.0' });
console.log(`a REHEARSAL, no model, on ${server.url}`);
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => void server.close());
}
