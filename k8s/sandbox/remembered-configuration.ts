import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { type HandConfiguration, isHandConfiguration } from '../../hand/configuration.ts';

/** The configuration that a daemon before this one took; undefined when none did. */
export function recallConfiguration(path: string): HandConfiguration | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return isHandConfiguration(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whole on disk, or not at all. */
export function rememberConfiguration(path: string, configuration: HandConfiguration): void {
  const draft = `${path}.draft`;
  const file = openSync(draft, 'w', 0o600);
  try {
    writeSync(file, JSON.stringify(configuration));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
}
