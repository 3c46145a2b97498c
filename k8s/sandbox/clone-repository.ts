import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { HandTool } from '../../hand/tool.ts';
import type { CallResult } from '../../hand/wire.ts';
import { SANDBOX } from './layout.ts';
import { wordsOfPath } from './path-failure.ts';
import { type ProgramOptions, runProgram } from './run-program.ts';

interface Repository {
  readonly url: string;
  readonly path: string;
  readonly branch: string | null;
  readonly commit: string | null;
}

/** Nobody is there to answer a prompt. */
const VARIABLES = {
  GIT_TERMINAL_PROMPT: '0',
  GIT_SSH_COMMAND: 'ssh -o BatchMode=yes',
  GIT_ALLOW_PROTOCOL: 'file:git:http:https:ssh',
} as const;
const QUIET = ['-c', 'advice.detachedHead=false'] as const;

/** Tool of provisioning: `{url, path, branch, commit}`. A clone that was restored is left alone. */
export function createCloneTool(variables: NodeJS.ProcessEnv): HandTool {
  return {
    hasEffects: true,
    async run(input, call) {
      const repository = input as unknown as Repository;
      const { path } = repository;
      call.onStart();
      try {
        mkdirSync(dirname(path), { recursive: true });
      } catch (error) {
        return failed(repository, wordsOfPath(path, error));
      }
      if (existsSync(`${path}/.git`)) return { text: `${path} is there already`, is_error: false };
      if (existsSync(path) && readdirSync(path).length > 0) {
        return failed(repository, `${path} is not empty; choose another mount_path`);
      }
      return clone(repository, {
        folder: SANDBOX.workspace,
        variables: { ...variables, ...VARIABLES },
        call,
      });
    },
  };
}

async function clone(repository: Repository, options: ProgramOptions): Promise<CallResult> {
  const { url, path, branch, commit } = repository;
  const ofBranch = branch === null ? [] : ['--branch', branch];
  const steps: (readonly string[])[] = [
    ['clone', '--progress', ...ofBranch, '--', url, path],
    // A commit that no branch leads to is not cloned, but many servers give it away.
    ...(commit === null ? [] : [['-C', path, 'checkout', '--detach', commit]]),
  ];
  for (const step of steps) {
    const end = await git(step, options);
    if (end === undefined) continue;
    const isCheckout = commit !== null && step.includes('checkout');
    const again = isCheckout ? await fetchCommit(path, commit, options) : end;
    if (again !== undefined) return failed(repository, again);
  }
  return { text: `cloned ${url} into ${path}`, is_error: false };
}

async function fetchCommit(
  path: string,
  commit: string,
  options: ProgramOptions,
): Promise<string | undefined> {
  return (
    (await git(['-C', path, 'fetch', '--quiet', 'origin', commit], options)) ??
    (await git(['-C', path, 'checkout', '--detach', commit], options))
  );
}

/** What Git says when it fails. */
async function git(words: readonly string[], options: ProgramOptions): Promise<string | undefined> {
  const end = await runProgram(['git', ...QUIET, ...words], options);
  if (end.type === 'missing') {
    return 'the image of this sandbox has no git; name one that has it in config.image';
  }
  return end.succeeded ? undefined : end.said;
}

function failed({ url }: Repository, why: string): CallResult {
  return { text: `Repository ${url} could not be cloned: ${why}`, is_error: true };
}
