import { runProgram } from './run-program.ts';

const TIMEOUT_MS = 10_000;

/** What the isolation of a local hand needs, and the packages these come in. */
const LINUX = [
  { program: 'socat', args: ['-V'], package: 'socat' },
  { program: 'rg', args: ['--version'], package: 'ripgrep' },
  {
    program: 'bwrap',
    args: '--unshare-net --unshare-pid --ro-bind / / --dev /dev --proc /proc true'.split(' '),
    package: 'bubblewrap',
  },
] as const;
const MACOS = [{ program: 'rg', args: ['--version'], package: 'ripgrep' }] as const;

/**
 * Why hands cannot be isolated on this machine, in words, or undefined when they can. A look before
 * the start: the hand itself decides when it is made.
 */
export async function whyNotIsolated(): Promise<string | undefined> {
  const needs = process.platform === 'darwin' ? MACOS : LINUX;
  const results = await Promise.all(
    needs.map(async (need) => {
      const { failure } = await runProgram(need.program, need.args, { timeoutMs: TIMEOUT_MS });
      return failure === null ? undefined : `${need.program} (package ${need.package}): ${failure}`;
    }),
  );
  const missing = results.filter((result) => result !== undefined);
  return missing.length === 0 ? undefined : missing.join('; ');
}
