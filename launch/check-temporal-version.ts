import { runProgram } from './run-program.ts';
import { TEMPORAL_RELEASE } from './temporal-release.ts';

const TIMEOUT_MS = 15_000;

export type CheckedVersion =
  | { readonly ok: true; readonly version: string }
  | { readonly ok: false; readonly reason: string };

/** Whether the program at `path` is a Temporal CLI that Drover can use. */
export async function checkTemporalVersion(path: string): Promise<CheckedVersion> {
  const { output, failure } = await runProgram(path, ['--version'], { timeoutMs: TIMEOUT_MS });
  if (failure !== null) return { ok: false, reason: `${path} does not run: ${failure}` };
  const version = /temporal version v?(\d+\.\d+\.\d+)/.exec(output)?.[1];
  if (version === undefined) return { ok: false, reason: `${path} is not the Temporal CLI` };
  const { oldestVersion } = TEMPORAL_RELEASE;
  if (isOlder(version, oldestVersion)) {
    return { ok: false, reason: `${path} is ${version}, older than ${oldestVersion}` };
  }
  return { ok: true, version };
}

function isOlder(version: string, than: string): boolean {
  const wanted = than.split('.').map(Number);
  for (const [index, part] of version.split('.').map(Number).entries()) {
    const other = wanted[index] ?? 0;
    if (part !== other) return part < other;
  }
  return false;
}
