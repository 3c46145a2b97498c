/**
 * Preloaded into the worker process: it ends with the launcher, whatever ends that. The launcher
 * holds the other end of standard input and never writes to it.
 */
process.stdin.once('end', leave).once('error', leave).resume();

function leave(): void {
  process.kill(process.pid, 'SIGTERM');
}
