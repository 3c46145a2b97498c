import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { ProgramEnd, ProgramOptions } from './run-program.ts';
import type { HandTool, RunningCall } from './tool.ts';
import type { CallResult } from './wire.ts';

export interface CloneToolOptions {
  /** Environment of git. */
  readonly variables: NodeJS.ProcessEnv;
  /** Where git is started. */
  readonly folder: string;
  run(command: readonly [string, ...string[]], options: ProgramOptions): Promise<ProgramEnd>;
  /** Why nothing can be put at a path, and where it can. */
  wordsOfPath(path: string, error: unknown): string;
}

interface Repository {
  readonly url: string;
  /** Its own address, when it is not cloned from there. */
  readonly known_as?: string;
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

/**
 * Tool of provisioning: `{url, known_as?, path, branch, commit}`. What is there already is left alone;
 * what is not there as a whole is not there.
 */
export function createCloneTool(options: CloneToolOptions): HandTool {
  return {
    hasEffects: true,
    async run(input, call) {
      const repository = input as unknown as Repository;
      const { path } = repository;
      call.onStart();
      try {
        mkdirSync(dirname(path), { recursive: true });
        if (existsSync(`${path}/.git`)) {
          return { text: `${path} is there already`, is_error: false };
        }
        if (existsSync(path) && readdirSync(path).length > 0) {
          return failed(repository, `${path} is not empty; choose another mount_path`);
        }
        rmSync(draftOf(path), { recursive: true, force: true });
        mkdirSync(draftOf(path));
      } catch (error) {
        return failed(repository, options.wordsOfPath(path, error));
      }
      return clone(repository, call, options);
    },
  };
}

async function clone(
  repository: Repository,
  call: RunningCall,
  options: CloneToolOptions,
): Promise<CallResult> {
  const { url, path, branch, commit } = repository;
  const draft = draftOf(path);
  const git = (...words: readonly string[]) => runGit(words, call, options);
  const ofBranch = branch === null ? [] : ['--branch', branch];
  const why =
    (await git('clone', '--progress', ...ofBranch, '--', url, draft)) ??
    (commit === null ? undefined : await checkOut(draft, commit, git));
  if (why !== undefined) {
    rmSync(draft, { recursive: true, force: true });
    return failed(repository, why);
  }
  renameSync(draft, path);
  return { text: `cloned ${nameOf(repository)} into ${path}`, is_error: false };
}

/** Beside its place: one that a kill leaves in parts must not pass for the whole. */
function draftOf(path: string): string {
  return `${dirname(path)}/.${basename(path)}.cloning`;
}

/** A commit that no branch leads to is not cloned, but many servers give it away. */
async function checkOut(
  path: string,
  commit: string,
  git: (...words: readonly string[]) => Promise<string | undefined>,
): Promise<string | undefined> {
  const checkout = () => git('-C', path, 'checkout', '--detach', commit);
  if ((await checkout()) === undefined) return undefined;
  return (await git('-C', path, 'fetch', '--quiet', 'origin', commit)) ?? (await checkout());
}

/** What Git says when it fails. */
async function runGit(
  words: readonly string[],
  call: RunningCall,
  { run, folder, variables }: CloneToolOptions,
): Promise<string | undefined> {
  const environment = { ...variables, ...VARIABLES };
  const end = await run(['git', ...QUIET, ...words], { folder, variables: environment, call });
  if (end.type === 'missing') {
    return 'the image of this sandbox has no git; name one that has it in config.image';
  }
  return end.succeeded ? undefined : end.said;
}

function failed(repository: Repository, why: string): CallResult {
  return { text: `Repository ${nameOf(repository)} could not be cloned: ${why}`, is_error: true };
}

function nameOf({ url, known_as }: Repository): string {
  return known_as ?? url;
}
