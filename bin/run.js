import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST_NODE = 24;
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Runs the command line: its source in a checkout, its build in an installed package, where Node
 * strips no types. On an older Node, with the Node 24 that the package brings along.
 *
 * @param {string} name What it was called as.
 */
export async function run(name) {
  const entry = findEntry();
  if (Number(process.versions.node.split('.')[0]) >= OLDEST_NODE) {
    process.argv[1] = name;
    await import(entry);
    return;
  }
  const child = spawn(findNode(), [join(root, 'bin', `${name}.js`), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  // A terminal's Ctrl-C reaches the child too; it decides when to end.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`Node ${OLDEST_NODE} cannot be started: ${error.message}`));
  child.on('exit', (code, signal) => process.exit(signal === null ? code : 1));
}

function findEntry() {
  const entry = ['client', 'command-line', 'main'];
  const built = `${join(root, 'dist', ...entry)}.js`;
  const isInstalled = root.split(/[\\/]/).includes('node_modules');
  if (!isInstalled) return `${join(root, ...entry)}.ts`;
  if (existsSync(built)) return built;
  return fail(`${built} is missing; install the package again`);
}

/** The package `node` holds one binary. */
function findNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve('node/package.json');
    const node = join(dirname(manifest), 'bin', 'node');
    if (existsSync(node)) return node;
  } catch {
    // Said below.
  }
  return fail(
    `Node ${OLDEST_NODE} or newer is needed, this is ${process.versions.node}: install it, or run npm ci`,
  );
}

/** @returns {never} */
function fail(words) {
  process.stderr.write(`error: ${words}\n`);
  process.exit(1);
}
