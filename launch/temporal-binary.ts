import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Placeholder shape: the finder is completed with the launcher. */
export interface TemporalBinary {
  readonly path: string;
  readonly source: 'path';
}

export async function findTemporalBinary(): Promise<TemporalBinary> {
  const { stdout } = await promisify(execFile)('which', ['temporal']);
  return { path: stdout.trim(), source: 'path' };
}
