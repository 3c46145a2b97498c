import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { connectDrover, type Drover } from '../../client/index.ts';
import { freePort } from '../../launch/free-port.ts';
import { waitFor } from '../support/wait-for.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** The stack of the compose file, as it is, under a name and at ports of its own. */
export interface ComposeStack {
  readonly project: string;
  readonly ports: { readonly temporal: number; readonly ui: number };
  /** @param payloadKeys File of a key ring. */
  drover(payloadKeys?: string): Promise<Drover>;
  /** Starts what has changed or does not run. */
  up(changed?: Variables): Promise<void>;
  compose(...words: readonly string[]): Promise<string>;
  /** Runs a program in a container of a service. */
  exec(service: string, ...words: readonly string[]): Promise<string>;
  /** The same, with something to read first. */
  pipe(input: string, ...words: readonly string[]): Promise<string>;
  /** Containers of a service, in the order of their numbers; of all of them without one. */
  containers(service?: string): Promise<readonly ComposeContainer[]>;
  /** Kills the first process of a container as a crash does, so that its restart policy holds. */
  crash(service: string): Promise<void>;
  /** Of all that runs in a container, as this machine numbers it. */
  pidsIn(container: ComposeContainer): Promise<readonly number[]>;
  /** Where this machine has what is in a volume. */
  folderOf(volume: string): Promise<string>;
  /** Whatever of the project the engine still has. */
  leftovers(): Promise<readonly string[]>;
}

/** What the file is given by the environment. */
export type Variables = Readonly<Record<string, string>>;

export interface ComposeContainer {
  readonly id: string;
  readonly service: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly restarts: number;
  readonly inspected: Inspected;
}

export interface Inspected {
  readonly Id: string;
  readonly State: { readonly Pid: number; readonly StartedAt: string; readonly Status: string };
  readonly RestartCount: number;
  readonly Config: {
    readonly Image: string;
    readonly User: string;
    readonly Env: readonly string[];
    readonly Labels: Readonly<Record<string, string>>;
  };
  readonly HostConfig: {
    readonly CapAdd: readonly string[] | null;
    readonly CapDrop: readonly string[] | null;
    readonly SecurityOpt: readonly string[] | null;
    readonly ReadonlyRootfs: boolean;
    readonly Privileged: boolean;
    readonly Memory: number;
    readonly NanoCpus: number;
    readonly PidsLimit: number | null;
    readonly RestartPolicy: { readonly Name: string };
    readonly PortBindings: Readonly<Record<string, readonly { readonly HostIp: string }[]>> | null;
  };
  readonly Mounts: readonly {
    readonly Type: string;
    readonly Name?: string;
    readonly Destination: string;
    readonly RW: boolean;
  }[];
  readonly NetworkSettings: {
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>>;
  };
}

/** Of a stack whose model is a REHEARSAL in it. */
export const REHEARSAL: Variables = {
  COMPOSE_PROFILES: 'rehearsal',
  ANTHROPIC_BASE_URL: 'http://rehearsal:8070',
  ANTHROPIC_API_KEY: 'rehearsal',
};

export async function createStack(project: string, variables: Variables): Promise<ComposeStack> {
  const ports = { temporal: await freePort(0), ui: await freePort(0) };
  let env: NodeJS.ProcessEnv = {
    ...process.env,
    ...variables,
    COMPOSE_PROJECT_NAME: project,
    TEMPORAL_PORT: String(ports.temporal),
    TEMPORAL_UI_PORT: String(ports.ui),
  };
  const start = (words: readonly string[]) =>
    run('docker', words, { cwd: ROOT, env, maxBuffer: MAX_OUTPUT_BYTES });
  const docker = async (...words: readonly string[]): Promise<string> =>
    (await start(words)).stdout.trim();
  const lines = async (...words: readonly string[]): Promise<readonly string[]> =>
    (await docker(...words)).split('\n').filter((line) => line !== '');
  const label = `label=com.docker.compose.project=${project}`;
  const stack: ComposeStack = {
    project,
    ports,
    drover: (payloadKeys) =>
      connectDrover({
        profile: null,
        address: `127.0.0.1:${ports.temporal}`,
        ...(payloadKeys === undefined ? {} : { payloadKeys }),
      }),
    async up(changed = {}) {
      env = { ...env, ...changed };
      await docker('compose', 'up', '--wait', '--quiet-pull');
    },
    compose: (...words) => docker('compose', ...words),
    exec: (service, ...words) => docker('compose', 'exec', '-T', service, ...words),
    async pipe(input, ...words) {
      const running = start(['compose', 'exec', '-T', ...words]);
      running.child.stdin?.end(input);
      return (await running).stdout.trim();
    },
    async containers(service) {
      const ids = await lines('ps', '-aq', '--filter', label);
      const inspected =
        ids.length === 0 ? [] : (JSON.parse(await docker('inspect', ...ids)) as Inspected[]);
      return inspected
        .map(toContainer)
        .filter((container) => service === undefined || container.service === service)
        .sort((one, other) => numberOf(one) - numberOf(other));
    },
    async crash(service) {
      const [container] = await stack.containers(service);
      if (container === undefined) throw new Error(`no container of ${service}`);
      process.kill(container.pid, 'SIGKILL');
      await waitFor(`${service} to be started again`, async () => {
        const [now] = await stack.containers(service);
        return now !== undefined && now.pid !== 0 && now.pid !== container.pid;
      });
    },
    async pidsIn({ id }) {
      const [, ...pids] = await lines('top', id, '-o', 'pid');
      return pids.map(Number);
    },
    folderOf: (volume) =>
      docker('volume', 'inspect', '--format', '{{.Mountpoint}}', `${project}_${volume}`),
    async leftovers() {
      const kinds = [
        ['ps', '-aq'],
        ['volume', 'ls', '-q'],
        ['network', 'ls', '-q'],
      ];
      const found = await Promise.all(
        kinds.map(async (words) => {
          const ids = await lines(...words, '--filter', label);
          return ids.map((id) => `${words[0]} ${id}`);
        }),
      );
      return found.flat();
    },
  };
  return stack;
}

/** The file as it is written. */
export function readComposeFile(): string {
  return readFileSync(`${ROOT}/docker-compose.yml`, 'utf8');
}

function toContainer(inspected: Inspected): ComposeContainer {
  return {
    id: inspected.Id,
    service: inspected.Config.Labels['com.docker.compose.service'] ?? '',
    pid: inspected.State.Pid,
    startedAt: inspected.State.StartedAt,
    restarts: inspected.RestartCount,
    inspected,
  };
}

function numberOf({ inspected }: ComposeContainer): number {
  return Number(inspected.Config.Labels['com.docker.compose.container-number']);
}
