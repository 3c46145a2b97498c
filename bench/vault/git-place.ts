import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const MIB = 1024 * 1024;
const FILE_BYTES = 128 * 1024;
const COMMITS = 50;

/** A folder with repositories, and git to use them with. */
export interface GitPlace {
  /** Served. */
  readonly root: string;
  /** A clone of `repository.git`: a first commit, then 50 MB in many, on branch `large`. */
  readonly work: string;
  readonly bytes: number;
  /** Runs git; fails with what it says. */
  git(
    folder: string,
    words: readonly string[],
    variables?: Readonly<Record<string, string>>,
  ): Promise<string>;
  /** Makes `<name>.git`, with the first commit on `main` or with nothing. */
  addRepository(name: string, content: 'first' | 'none'): Promise<void>;
  /** A folder that is not there yet. */
  fresh(): string;
  close(): void;
}

export async function makeGitPlace(mebibytes: number): Promise<GitPlace> {
  const folder = mkdtempSync(join(tmpdir(), 'drover-bench-git-'));
  const root = join(folder, 'root');
  const work = join(folder, 'work');
  let count = 0;
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  mkdirSync(root);
  const git: GitPlace['git'] = async (cwd, words, variables = {}) => {
    const child = spawn('git', [...words], {
      cwd,
      env: { ...ENVIRONMENT, PATH: process.env['PATH'], ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = Promise.all([text(child.stdout), text(child.stderr)]);
    const [code] = (await once(child, 'close')) as [number | null];
    const all = (await said).join('').trim();
    if (code !== 0) throw new Error(`git ${words.join(' ')}: ${all}`);
    return all;
  };
  await fill(git, { root, work, files: Math.ceil((mebibytes * MIB) / FILE_BYTES) });
  return {
    root,
    work,
    bytes: mebibytes * MIB,
    git,
    async addRepository(name, content) {
      const path = join(root, `${name}.git`);
      await git(root, ['init', '--quiet', '--bare', '--initial-branch=main', path]);
      if (content === 'first') await git(work, ['push', '--quiet', path, 'main']);
    },
    fresh() {
      count += 1;
      return join(folder, `fresh-${count}`);
    },
    close: () => {
      process.off('exit', remove);
      remove();
    },
  };
}

const ENVIRONMENT = {
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'bench',
  GIT_AUTHOR_EMAIL: 'bench@bench',
  GIT_COMMITTER_NAME: 'bench',
  GIT_COMMITTER_EMAIL: 'bench@bench',
} as const;

async function fill(
  git: GitPlace['git'],
  { root, work, files }: { readonly root: string; readonly work: string; readonly files: number },
): Promise<void> {
  const path = join(root, 'repository.git');
  await git(root, ['init', '--quiet', '--bare', '--initial-branch=main', path]);
  await git(root, ['clone', '--quiet', path, work]);
  await git(work, ['commit', '--quiet', '--allow-empty', '--message', 'first']);
  await git(work, ['checkout', '--quiet', '-b', 'large']);
  for (let commit = 0; commit < COMMITS; commit += 1) {
    for (let file = commit; file < files; file += COMMITS) {
      // Nothing can be said shorter: what is measured is what is carried.
      writeFileSync(join(work, `file-${file}`), randomBytes(FILE_BYTES));
    }
    await git(work, ['add', '.']);
    await git(work, ['commit', '--quiet', '--message', `commit ${commit}`]);
  }
  await git(work, ['repack', '-adq']);
  await git(work, ['push', '--quiet', 'origin', 'main', 'large']);
  await git(path, ['repack', '-adq']);
}
