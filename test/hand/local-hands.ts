import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect } from 'vitest';
import {
  createLocalProvider,
  type LocalProvider,
  type LocalProviderOptions,
} from '../../activities/hands/local/local-provider.ts';
import { releaseAll } from '../../activities/hands/local/release-all.ts';
import type { ExecuteOptions, ExecuteOutcome } from '../../activities/hands/provider.ts';
import { EnvironmentDefinition, type EnvironmentInput } from '../../protocol/environment.ts';
import type { HandGrants } from '../../protocol/grant.ts';
import type { HandInstance, ToolCall } from '../../protocol/hand.ts';
import { type SessionResourceInput, SessionResourceSpecs } from '../../protocol/resource.ts';
import { giveCompiled, keepCompiled } from '../support/used-state.ts';
import { waitFor } from '../support/wait-for.ts';

/** Packages that isolation needs and this machine lacks. */
export const MISSING_PACKAGES = [
  ['bwrap', 'bubblewrap'],
  ['socat', 'socat'],
  ['rg', 'ripgrep'],
].flatMap(([program, name]) =>
  spawnSync('which', [program ?? '']).status === 0 ? [] : [name ?? ''],
);
export const IS_ISOLATED = MISSING_PACKAGES.length === 0;
/** Part of a suite's name: says why it is skipped, when it is. */
export const NEEDS = IS_ISOLATED
  ? 'isolated'
  : `SKIPPED, install ${MISSING_PACKAGES.join(' ')}: isolated`;

export interface LocalHands {
  readonly stateFolder: string;
  readonly provider: LocalProvider;
  provision(options?: {
    session?: string;
    name?: string;
    generation?: number;
    environment?: EnvironmentInput;
    resources?: readonly SessionResourceInput[];
    grants?: HandGrants;
    /** Another worker's. */
    provider?: LocalProvider;
  }): Promise<TestHand>;
  /** Another worker on the same state folder. */
  another(options?: Partial<LocalProviderOptions>): LocalProvider;
}

/** A provisioned hand and short ways to use it. */
export interface TestHand {
  readonly instance: HandInstance;
  run(name: string, input: ToolCall['input'], options?: RunOptions): Promise<Said>;
  bash(command: string, options?: RunOptions & { timeout_ms?: number }): Promise<Said>;
}

export interface RunOptions extends Partial<ExecuteOptions> {
  readonly id?: string;
  readonly provider?: LocalProvider;
}

export interface Said {
  readonly text: string;
  readonly is_error: boolean;
  readonly lost?: true;
}

export interface HandsOptions extends Partial<LocalProviderOptions> {
  readonly endAfter?: 'each' | 'all';
  /** Where the state folder is made. */
  readonly base?: string;
}

/**
 * Local hands in a state folder of their own. After each test (or all of a file's) they end, and that
 * no process of them is left is checked.
 */
export function useLocalHands(options: HandsOptions = {}): () => LocalHands {
  const { endAfter = 'each', base = tmpdir(), ...providerOptions } = options;
  let opened: { readonly hands: LocalHands; readonly providers: LocalProvider[] } | undefined;
  const hook = endAfter === 'each' ? afterEach : afterAll;
  hook(async () => {
    if (opened === undefined) return;
    const { stateFolder } = opened.hands;
    for (const provider of opened.providers) provider.close();
    opened = undefined;
    await releaseAll(stateFolder);
    await expectNoProcesses(stateFolder);
    keepCompiled(stateFolder);
    rmSync(stateFolder, { recursive: true, force: true });
  });
  return () => {
    opened ??= open(providerOptions, base);
    return opened.hands;
  };
}

function open(
  options: Partial<LocalProviderOptions>,
  base: string,
): {
  readonly hands: LocalHands;
  readonly providers: LocalProvider[];
} {
  const stateFolder = realpathSync(mkdtempSync(join(base, 'drv-')));
  giveCompiled(stateFolder);
  const providers: LocalProvider[] = [];
  const another = (more: Partial<LocalProviderOptions> = {}): LocalProvider => {
    const isolation = IS_ISOLATED ? 'required' : 'unconfined';
    const created = createLocalProvider({ stateFolder, isolation, ...options, ...more });
    providers.push(created);
    return created;
  };
  const provider = another();
  const hands: LocalHands = {
    stateFolder,
    provider,
    another,
    async provision(wanted = {}) {
      const { session = 'session', name = 'main', generation = 1, environment = {} } = wanted;
      const hand = { session_id: session, chain_id: 'chain', name, generation };
      const definition = EnvironmentDefinition.parse(environment);
      const by = wanted.provider ?? provider;
      const { instance } = await by.provision({
        hand,
        environment: { id: null, version: null, definition },
        resources: SessionResourceSpecs.parse(wanted.resources ?? []),
        ...(wanted.grants === undefined ? {} : { grants: wanted.grants }),
      });
      return toTestHand(by, { ...hand, provider: 'local', instance });
    },
  };
  return { hands, providers };
}

export function toTestHand(provider: LocalProvider, instance: HandInstance): TestHand {
  const run: TestHand['run'] = async (name, input, options = {}) => {
    const outcome = await (options.provider ?? provider).execute(
      {
        hand: instance,
        session_id: instance.session_id,
        call: { id: options.id ?? `toolu_${crypto.randomUUID()}`, name, input },
      },
      {
        interrupt: options.interrupt ?? new AbortController().signal,
        detach: options.detach ?? new AbortController().signal,
        onProgress: options.onProgress ?? (() => {}),
      },
    );
    return toSaid(outcome);
  };
  return {
    instance,
    run,
    bash: (command, { timeout_ms, ...options } = {}) =>
      run('bash', timeout_ms === undefined ? { command } : { command, timeout_ms }, options),
  };
}

export function toSaid({ content, is_error, lost }: ExecuteOutcome): Said {
  const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  return lost === undefined ? { text, is_error } : { text, is_error, lost };
}

/** Waits until what was killed has gone, and says what has not. */
export async function expectNoProcesses(text: string): Promise<void> {
  const areGone = (): boolean => processesMentioning(text).length === 0;
  await waitFor('processes to be gone', areGone, 5_000).catch(() => {
    expect(processesMentioning(text)).toEqual([]);
  });
}

/** Pids of processes whose command line or environment names the text; zombies have neither. */
export function processesMentioning(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter(
      (pid) =>
        readProcess(pid, 'cmdline').includes(text) || readProcess(pid, 'environ').includes(text),
    )
    .map(Number);
}

function readProcess(pid: string, file: 'cmdline' | 'environ'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
