import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openEgressFolder } from '../../egress/authority-file.ts';
import { gitVariables, REMOTE_ROOT } from '../../egress/git-variables.ts';
import { signToken } from '../../egress/hand-token.ts';
import { readKeys } from '../../egress/keys.ts';
import { distributionOf, medianOf, ratio, rounded, timed } from '../measure.ts';
import { progress, type Report } from '../report.ts';
import { startTied } from '../world/tied-process.ts';
import { type GitPlace, makeGitPlace } from './git-place.ts';

const MEBIBYTES = 50;
const ROUNDS = 15;
/** Of four times the size, by the gateway alone: what it takes must not grow with what is carried. */
const LARGE_MEBIBYTES = 200;
const LARGE_ROUNDS = 2;
const USERNAME = 'bench';
const SECRET = 'a-secret-of-the-bench-0123456789';
const AUTHORIZATION = `Basic ${Buffer.from(`${USERNAME}:${SECRET}`).toString('base64')}`;
const MAX_RATIO = 1.2;
/** Of what goes through, at once: what a garbage collector leaves for a while is in it. */
const MAX_GROWTH_MIB = 60;
/** At its most, with the larger repository to the smaller one. */
const MAX_PEAK_RATIO = 1.25;

interface Server {
  /** Beginning of the addresses of repositories. */
  readonly url: string;
  readonly variables: Readonly<Record<string, string>>;
}

/** Git with a repository of 50 MB, by the gateway and directly, by turns; then with a larger one. */
export async function measureGit(): Promise<Omit<Report, 'bench'>> {
  const samples = await inPlace(MEBIBYTES, (place, ways) => measure(place, ways, ROUNDS));
  const large = await inPlace(LARGE_MEBIBYTES, measureLarge);
  return toReport(samples, large);
}

async function inPlace<T>(
  mebibytes: number,
  use: (place: GitPlace, ways: Ways) => Promise<T>,
): Promise<T> {
  const place = await makeGitPlace(mebibytes);
  const processes: ReturnType<typeof startTied>[] = [];
  try {
    const upstream = await start(place, processes, 'git-upstream-main.ts', [
      place.root,
      AUTHORIZATION,
    ]);
    const keysPath = openEgressFolder(place.fresh());
    const gateway = await start(place, processes, 'git-gateway-main.ts', [
      keysPath,
      upstream.url,
      USERNAME,
      SECRET,
    ]);
    const direct: Server = {
      url: `${upstream.url}/`,
      variables: {
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'http.extraHeader',
        GIT_CONFIG_VALUE_0: `Authorization: ${AUTHORIZATION}`,
      },
    };
    return await use(place, {
      direct,
      gateway: (repository) => ({
        url: REMOTE_ROOT,
        variables: gitVariables(gateway.url, tokenFor(keysPath, upstream.url, repository)),
      }),
      gatewayPid: gateway.pid,
    });
  } finally {
    for (const one of processes) await one.stop();
    place.close();
  }
}

async function start(
  place: GitPlace,
  processes: ReturnType<typeof startTied>[],
  program: string,
  words: readonly string[],
): Promise<{ readonly url: string; readonly pid: number }> {
  const logPath = place.fresh();
  const child = startTied({
    name: program,
    command: process.execPath,
    arguments: [fileURLToPath(new URL(program, import.meta.url)), ...words],
    environment: { PATH: process.env['PATH'] },
    logPath,
  });
  processes.push(child);
  await child.said('listening ');
  // It is told a moment before it is in the file.
  for (;;) {
    const [, port] = /listening (\d+)\n/.exec(readFileSync(logPath, 'utf8')) ?? [];
    if (port !== undefined) return { url: `http://127.0.0.1:${port}`, pid: child.pid };
    await delay(10);
  }
}

function tokenFor(keysPath: string, upstream: string, name: string): string {
  return signToken(readKeys(keysPath), {
    session: 'bench',
    chain_id: 'bench',
    name: 'main',
    generation: 1,
    hand: 'bench',
    addresses: ['127.0.0.1'],
    hosts: [],
    repositories: [
      {
        name,
        url: `${upstream}/${name}.git`,
        vault_id: 'bench',
        credential_id: 'bench',
        push: { branches: ['*'], tags: [], force: false, delete: false },
      },
    ],
    expires: Math.floor(Date.now() / 1000) + 3_600,
  });
}

const TASKS = ['clone', 'push', 'push_forward'] as const;
type Task = (typeof TASKS)[number];
/** What is at the other end before: all of it, nothing, or the commit that it leads on from. */
const BEFORE = { clone: 'all', push: 'none', push_forward: 'first' } as const;

interface Samples {
  readonly direct: Readonly<Record<Task, number[]>>;
  readonly gateway: Readonly<Record<Task, number[]>>;
  readonly memory: Memory;
}

/** MiB of the gateway, at most during each task. */
interface Memory {
  /** Above what it had before. */
  readonly growth: Readonly<Record<Task, number[]>>;
  readonly peak: number[];
}

interface Ways {
  readonly direct: Server;
  gateway(repository: string): Server;
  readonly gatewayPid: number;
}

async function measure(place: GitPlace, ways: Ways, rounds: number): Promise<Samples> {
  const samples = { direct: noSamples(), gateway: noSamples(), memory: noMemory() };
  for (let round = 0; round < rounds; round += 1) {
    for (const task of TASKS) {
      const measureWay = {
        direct: async () =>
          samples.direct[task].push((await once(place, task, () => ways.direct)).ms),
        gateway: async () => {
          const { ms } = await byGateway(place, task, ways, samples.memory);
          samples.gateway[task].push(ms);
        },
      };
      // Neither is always the one that finds what is read in memory.
      const order =
        round % 2 === 0 ? (['direct', 'gateway'] as const) : (['gateway', 'direct'] as const);
      for (const way of order) await measureWay[way]();
    }
    progress(`round ${round + 1} of ${rounds}`);
  }
  return samples;
}

/** What the gateway takes alone. */
async function measureLarge(place: GitPlace, ways: Ways): Promise<Memory> {
  const memory = noMemory();
  for (let round = 0; round < LARGE_ROUNDS; round += 1) {
    for (const task of TASKS) await byGateway(place, task, ways, memory);
    progress(`round ${round + 1} of ${LARGE_ROUNDS} with ${LARGE_MEBIBYTES} MB`);
  }
  return memory;
}

function noSamples(): Record<Task, number[]> {
  return { clone: [], push: [], push_forward: [] };
}

function noMemory(): Memory {
  return { growth: noSamples(), peak: [] };
}

async function byGateway(
  place: GitPlace,
  task: Task,
  { gateway, gatewayPid }: Ways,
  { growth, peak }: Memory,
) {
  const before = resetPeak(gatewayPid);
  const timing = await once(place, task, gateway);
  const most = memoryOf(gatewayPid, 'VmHWM');
  growth[task].push(most - before);
  peak.push(most);
  return timing;
}

async function once(place: GitPlace, task: Task, way: (repository: string) => Server) {
  const content = BEFORE[task];
  const name = content === 'all' ? 'repository' : basename(place.fresh());
  if (content !== 'all') await place.addRepository(name, content);
  const { url, variables } = way(name);
  const words =
    task === 'clone'
      ? ['clone', '--quiet', '--bare', `${url}${name}.git`, place.fresh()]
      : ['push', '--quiet', `${url}${name}.git`, 'large:main'];
  return timed(() => place.git(place.work, words, variables));
}

/** From now on the peak is that of what follows. @returns MiB that it has now. */
function resetPeak(pid: number): number {
  writeFileSync(join('/proc', String(pid), 'clear_refs'), '5');
  return memoryOf(pid, 'VmRSS');
}

function memoryOf(pid: number, which: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(join('/proc', String(pid), 'status'), 'utf8');
  const [, kibibytes] = new RegExp(`^${which}:\\s+(\\d+) kB$`, 'm').exec(status) ?? [];
  return Number(kibibytes) / 1024;
}

function toReport({ direct, gateway, memory }: Samples, large: Memory): Omit<Report, 'bench'> {
  const figures = Object.fromEntries(
    TASKS.flatMap((task) => [
      [`git_${task}_ms`, distributionOf(gateway[task])],
      [`git_${task}_growth_mib`, distributionOf(memory.growth[task])],
      [`git_large_${task}_growth_mib`, distributionOf(large.growth[task])],
    ]),
  );
  const [most, mostLarge] = [memory, large].map(({ peak }) => Math.max(...peak)) as [
    number,
    number,
  ];
  return {
    figures: {
      git_repository_mib: MEBIBYTES,
      git_large_mib: LARGE_MEBIBYTES,
      git_gateway_peak_mib: rounded(most),
      git_large_gateway_peak_mib: rounded(mostLarge),
      ...figures,
    },
    targets: [
      ...TASKS.map((task) => ({
        name: `git ${task} by the gateway, p50, times direct`,
        value: ratio(medianOf(gateway[task]), medianOf(direct[task])),
        limit: MAX_RATIO,
      })),
      {
        name: 'MiB that the gateway grows by at most, in any of them',
        value: rounded(Math.max(...TASKS.flatMap((task) => memory.growth[task]))),
        limit: MAX_GROWTH_MIB,
      },
      {
        name: `memory of the gateway at most with ${LARGE_MEBIBYTES} MB, times ${MEBIBYTES} MB`,
        value: ratio(mostLarge, most),
        limit: MAX_PEAK_RATIO,
      },
    ],
    baseline: Object.fromEntries(
      TASKS.map((task) => [`direct_git_${task}_ms`, distributionOf(direct[task])]),
    ),
  };
}
