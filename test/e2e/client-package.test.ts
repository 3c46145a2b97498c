import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const manifest = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));

let folder: string;

/** The package as npm would unpack it, beside the dependencies of this checkout. */
async function installInto(target: string): Promise<void> {
  const modules = join(target, 'node_modules');
  const name = manifest.name;
  await mkdir(join(modules, name), { recursive: true });
  const { stdout } = await run('npm', ['pack', '--pack-destination', target, '--json'], {
    cwd: ROOT,
  });
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('[')));
  const unpack = ['-xzf', join(target, filename), '-C', join(modules, name)];
  await run('tar', [...unpack, '--strip-components=1']);
  for (const dependency of await readdir(join(ROOT, 'node_modules'))) {
    if (dependency.startsWith('.') || dependency === name) continue;
    await symlink(join(ROOT, 'node_modules', dependency), join(modules, dependency));
  }
}

// Skipped until package.json says what is published: `exports`, `files` and `prepack`.
describe.skipIf(manifest.exports === undefined)('the published package', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'drover-package-'));
    await installInto(folder);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('its client is imported by plain JavaScript', async () => {
    const script = join(folder, 'use.js');
    await writeFile(
      script,
      `import { connectDrover, ServerUnreachableError } from '${manifest.name}/client';
       await connectDrover({ address: '127.0.0.1:1', connectTimeoutMs: 500 }).catch((error) => {
         console.log(error instanceof ServerUnreachableError, error.code);
       });`,
    );
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    expect((await run(process.execPath, [script])).stdout).toBe('true server_unreachable\n');
  });

  test('its types are found', async () => {
    const script = join(folder, 'use.ts');
    await writeFile(
      script,
      `import { connectDrover, type SessionListing } from '${manifest.name}/client';
       const drover = await connectDrover();
       const listings: SessionListing[] = await drover.sessions.list();
       // @ts-expect-error a number is no session id
       await drover.sessions.get(1);
       export { listings };`,
    );
    const compiler = join(ROOT, 'node_modules', '.bin', 'tsc');
    const flags = '--noEmit --strict --skipLibCheck --module nodenext --target es2024 --types node';
    await run(compiler, [...flags.split(' '), script], { cwd: folder });
  });

  test('its command runs', async () => {
    const bin = join(folder, 'node_modules', manifest.name, 'bin', 'drover.js');
    expect((await run(process.execPath, [bin, '--help'])).stdout).toContain('Usage: drover');
  });
});

test('the command runs on the Node of this machine, whatever that is', async () => {
  const path = (process.env['PATH'] ?? '')
    .split(':')
    .filter((part) => !part.includes('node_modules'))
    .join(':');
  const env = { ...process.env, PATH: path };
  const { stdout } = await run('node', [join(ROOT, 'bin', 'drover.js'), '--help'], { env });
  expect(stdout).toContain('Usage: drover');
});
