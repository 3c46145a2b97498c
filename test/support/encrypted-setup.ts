import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { createKeyRingFile } from '../../codec/manage-key-ring.ts';
import startSuite from './global-setup.ts';

/** The suite's server, and a key ring that the harness encrypts with. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'drover-encrypted-'));
  const path = join(folder, 'payload-keys.json');
  await createKeyRingFile(path);
  project.provide('payloadKeys', path);
  const stopSuite = await startSuite(project);
  return async () => {
    await stopSuite();
    await rm(folder, { recursive: true });
  };
}
