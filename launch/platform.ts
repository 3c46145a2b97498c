import { fileURLToPath } from 'node:url';
import type { Drover } from '../client/index.ts';
import type { SandboxChoice } from './choose-sandbox.ts';
import { runDevServer } from './dev-server.ts';
import { joinPlatform } from './join-platform.ts';
import { claimLauncher, type LauncherInfo } from './launcher-claim.ts';
import { openModel } from './model.ts';
import { runProgram } from './run-program.ts';
import { NAMESPACE } from './start-server.ts';
import type { StateFolder } from './state-folder.ts';
import { type ConfiguredServer, connectConfigured, connectOwn, payloadKeysOf } from './target.ts';
import { findTemporalBinary } from './temporal-binary.ts';
import { untilAborted } from './until-aborted.ts';
import { forOwnServer } from './worker-environment.ts';
import { runWorkerProcess } from './worker-process.ts';

/** Server, worker and model, ready to run sessions. */
export interface Platform {
  readonly drover: Drover;
  /** Null where somebody else's server has its Web UI we do not know. */
  readonly uiUrl: string | null;
  readonly rehearsal: boolean;
  /** The server is not ours. */
  readonly external: boolean;
}

export interface Setting {
  readonly variables: NodeJS.ProcessEnv;
  readonly state: StateFolder;
  readonly sandbox: SandboxChoice;
  readonly configured: ConfiguredServer | null;
  readonly say: (line: string) => void;
  /** Something that cannot be mended was lost. */
  readonly onLost: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/** Opens the platform of a state folder, or joins it; `closing` ends what this process started. */
export async function openPlatform(
  setting: Setting,
  closing: AsyncDisposableStack,
): Promise<Platform> {
  const { state, configured } = setting;
  let info: LauncherInfo = {
    pid: process.pid,
    address: null,
    namespace: configured?.namespace ?? NAMESPACE,
    uiUrl: null,
    external: configured !== null,
    rehearsal: false,
    payloadKeys: payloadKeysOf(setting.variables),
  };
  const claim = await claimLauncher(state.launcherSocket, () => info);
  if (!claim.first) return joinPlatform(setting, claim.info, closing);
  closing.defer(() => claim.release());
  const opened = await openFirst(setting, closing);
  info = { ...info, ...opened, address: opened.drover.address };
  return opened;
}

async function openFirst(setting: Setting, closing: AsyncDisposableStack): Promise<Platform> {
  const { variables, state, say, sandbox } = setting;
  const model = await openModel(variables);
  closing.defer(() => model.close());
  say(model.words);
  say(sandbox.words);
  if (payloadKeysOf(variables) !== null) {
    say('payloads: encrypted; the Web UI reads them through npx drover codec-server');
  }
  const server = await openServer(setting, closing);
  closing.defer(() => server.drover.close());
  setting.signal.throwIfAborted();
  // Deferred before the worker: it ends first, and nothing that a hand runs outlives this process.
  closing.defer(() => releaseHands(state.path, say));
  const worker = runWorkerProcess({
    environment: {
      NODE_COMPILE_CACHE: state.compiled,
      ...server.environment,
      ...model.variables,
      DROVER_STATE_FOLDER: state.path,
      DROVER_SANDBOX: sandbox.mode,
    },
    logPath: state.workerLog,
    say,
  });
  closing.defer(() => worker.stop());
  await Promise.race([worker.ready, untilAborted(setting.signal)]);
  setting.signal.throwIfAborted();
  return {
    drover: server.drover,
    uiUrl: server.uiUrl,
    rehearsal: model.rehearsal,
    external: setting.configured !== null,
  };
}

const RELEASE_HANDS = fileURLToPath(new URL('../workers/release-hands.ts', import.meta.url));
const RELEASE_TIMEOUT_MS = 20_000;

async function releaseHands(stateFolder: string, say: (line: string) => void): Promise<void> {
  const { failure } = await runProgram(process.execPath, [RELEASE_HANDS, stateFolder], {
    timeoutMs: RELEASE_TIMEOUT_MS,
  });
  if (failure !== null) say(`the sandboxes could not be ended: ${failure}`);
}

interface OpenedServer {
  readonly drover: Drover;
  readonly uiUrl: string | null;
  readonly environment: NodeJS.ProcessEnv;
}

async function openServer(setting: Setting, closing: AsyncDisposableStack): Promise<OpenedServer> {
  const { configured, variables, state, say, onLost } = setting;
  if (configured !== null) {
    const drover = await connectConfigured();
    say(`server: ${configured.address}, namespace ${configured.namespace} (as configured)`);
    return { drover, uiUrl: null, environment: variables };
  }
  const server = await runDevServer({
    state,
    say,
    onLost,
    findBinary: async () => (await findTemporalBinary({ say })).path,
  });
  closing.defer(() => server.stop());
  const { address, uiUrl } = server;
  say(`server: ${address}${server.adopted ? ', running already' : ''}, kept in ${state.path}`);
  const environment = forOwnServer(variables, {
    address,
    namespace: NAMESPACE,
    stateFolder: state.path,
  });
  return { drover: await connectOwn(address, NAMESPACE, variables), uiUrl, environment };
}
