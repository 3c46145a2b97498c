import { DefaultLogger, Runtime } from '@temporalio/worker';

// Imported for this alone by whatever runs a worker in its own process: files share one, and a
// runtime is installed once.
Runtime.install({ logger: new DefaultLogger('ERROR') });
