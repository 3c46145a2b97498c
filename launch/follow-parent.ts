import { isMainThread } from 'node:worker_threads';

/**
 * Preloaded into the worker process: it ends with the launcher, whatever ends that. The launcher
 * holds the other end of standard input and never writes to it. Preloaded into its threads too,
 * which have no such input.
 */
if (isMainThread) {
  process.stdin.once('end', leave).once('error', leave).resume();
  // Listening must not keep alive a worker that has failed.
  if ('unref' in process.stdin) process.stdin.unref();
}

function leave(): void {
  process.kill(process.pid, 'SIGTERM');
}
