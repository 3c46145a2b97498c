import { createHash } from 'node:crypto';
import { access, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { makeFolder } from '../store/make-folder.ts';

const PROJECT = fileURLToPath(new URL('..', import.meta.url));
/** Everything a bundle is made of: a change in any of them makes another bundle. */
const SOURCES = ['workflows', 'protocol', 'workers/workflow-bundle.ts', 'package-lock.json'];

/** Folder of the bundle that an image is shipped with. */
export const SHIPPED_BUNDLES = join(PROJECT, 'dist', 'bundles');

export const PAYLOAD_CONVERTER_PATH = join(PROJECT, 'protocol', 'payload-converter.ts');
export const FAILURE_CONVERTER_PATH = join(PROJECT, 'protocol', 'failure-converter.ts');

/** How the workflows of a bundle write failures: in the clear, or into payloads that are encrypted. */
export type FailureForm = 'clear' | 'encoded';

/**
 * Path of the bundled workflow code, made once per version of the sources: bundling takes seconds,
 * and a worker that is respawned after a crash should poll at once.
 */
export async function loadWorkflowBundle(
  cacheFolder: string,
  failures: FailureForm = 'clear',
): Promise<string> {
  const form = failures === 'clear' ? '' : `-${failures}-failures`;
  const name = `workflows-${await hashSources()}${form}.js`;
  for (const folder of [SHIPPED_BUNDLES, cacheFolder]) {
    if (await exists(join(folder, name))) return join(folder, name);
  }
  const path = join(cacheFolder, name);
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(PROJECT, 'workflows', 'index.ts'),
    payloadConverterPath: PAYLOAD_CONVERTER_PATH,
    ...(failures === 'clear' ? {} : { failureConverterPath: FAILURE_CONVERTER_PATH }),
    logger: new DefaultLogger('WARN'),
  });
  await makeFolder(cacheFolder);
  const partial = `${path}.${process.pid}`;
  await writeFile(partial, code);
  await rename(partial, path);
  return path;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function hashSources(): Promise<string> {
  const hash = createHash('sha256');
  for (const source of SOURCES) {
    for (const file of await filesOf(join(PROJECT, source))) {
      hash
        .update(file)
        .update('\0')
        .update(await readFile(file))
        .update('\0');
    }
  }
  return hash.digest('hex').slice(0, 16);
}

async function filesOf(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return [path];
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(path, entry.name));
  return files.sort();
}
