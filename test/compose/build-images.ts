import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Once for all files, which start their stacks side by side. */
export default function setup(): void {
  const words = ['compose', 'build', '--quiet', 'hand', 'worker-brain'];
  execFileSync('docker', words, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
}
