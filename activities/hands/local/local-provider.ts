import { ApplicationFailure } from '@temporalio/common';
import type { CallResult } from '../../../hand/wire.ts';
import { assertNever } from '../../../protocol/assert-never.ts';
import { FAILURE, type FailureType } from '../../../protocol/failure.ts';
import type {
  ExecuteInput,
  HandName,
  ProvisionInput,
  ReleaseInput,
} from '../../../protocol/hand.ts';
import type { CollectResult } from '../../../protocol/output-list.ts';
import { createHandConnection, type HandConnection } from '../hand-connection.ts';
import { HandGoneError } from '../hand-gone-error.ts';
import type {
  ExecuteOptions,
  ExecuteOutcome,
  HandProvider,
  ProvisionedHand,
  ProvisionOptions,
} from '../provider.ts';
import { refuseOutOfReach } from '../refuse-out-of-reach.ts';
import { type CloneStep, cloneCalls } from './clone-calls.ts';
import { collectFiles, type FilesAccess, hasFiles } from './collect-files.ts';
import { endSupervisor, fence } from './end-supervisor.ts';
import { giveAccess, type LocalGateway } from './give-access.ts';
import { findHandFolder, openHandFolder, openStateFolder } from './hand-folder.ts';
import { resultOfLostCall } from './lost-call.ts';
import { placeFiles } from './place-files.ts';
import { isAnothers, openSocket, presentInstance } from './present-instance.ts';
import { removeFolder } from './remove-folder.ts';
import { SYSTEM_PATH, settingsFor } from './settings-for.ts';
import { startSupervisor } from './start-supervisor.ts';
import { readRecord } from './supervisor-record.ts';
import type { Isolation } from './supervisor-settings.ts';

export interface LocalProviderOptions {
  /** Holds workspaces, journals, records and logs of all hands. Made when missing. */
  readonly stateFolder: string;
  /** `unconfined` runs hands with all that this user may do: for an operator to choose. */
  readonly isolation: Isolation;
  /** Files and folders outside the state folder that isolated hands may not read. */
  readonly secretPaths?: readonly string[];
  /** For hands with credentials to use. Default: such hands are refused. */
  readonly gateway?: LocalGateway;
  /** For files that sessions are given, and give. Default: there are none. */
  readonly files?: FilesAccess;
  /** `PATH` of hands and of the programs that isolate them. Default: the system's folders. */
  readonly path?: string;
  /** Silence after which a hand that is running a call is given up and ended. Default: 30 s. */
  readonly silenceMs?: number;
}

export interface LocalProvider extends HandProvider {
  /** Closes the connections to hands. The hands go on. */
  close(): void;
}

const GONE = new HandGoneError('The hand was ended.');
const UNWATCHED: ProvisionOptions = {
  onWaiting: () => {},
  abandoned: new AbortController().signal,
};
const PROVISION_ATTEMPTS = 5;
/** Above all that the tools give; below 2 MB even if each character is written as an escape. */
const MAX_RESULT_LENGTH = 300_000;

/**
 * Hands on this machine: one isolated process for each, held by a supervisor that outlives the
 * worker.
 */
export function createLocalProvider(options: LocalProviderOptions): LocalProvider {
  return new LocalHands(options);
}

class LocalHands implements LocalProvider {
  readonly supportsResources = ['github_repository', 'file'] as const;
  readonly #options: LocalProviderOptions;
  readonly #stateFolder: string;
  /** One standing connection for each instance that this worker uses. */
  readonly #connections = new Map<string, HandConnection>();

  constructor(options: LocalProviderOptions) {
    this.#options = options;
    this.#stateFolder = openStateFolder(options.stateFolder);
  }

  async provision(
    input: ProvisionInput,
    options: ProvisionOptions = UNWATCHED,
  ): Promise<ProvisionedHand> {
    const { abandoned } = options;
    refuseOutOfReach(input);
    const clones = cloneCalls(input, findHandFolder(this.#stateFolder, input.hand));
    if (process.platform !== 'linux') {
      const message = `Local hands need Linux; this worker runs on ${process.platform}.`;
      throw failure(FAILURE.sandboxIsolationMissing, message, { nonRetryable: true });
    }
    const folder = openHandFolder(this.#stateFolder, input.hand);
    const { root } = folder;
    await placeFiles(input, folder, this.#options.files?.openStore);
    for (let attempt = 0; attempt < PROVISION_ATTEMPTS; attempt += 1) {
      const provisioned =
        (await presentInstance(root, input, this.#options.isolation)) ?? (await this.#start(input));
      if (provisioned === undefined) continue;
      const hand = { ...input.hand, ...provisioned };
      if (await this.#isReady(hand, abandoned)) {
        const isSetUp = await this.#isSetUp(hand, clones, options);
        if (isSetUp) return provisioned;
      }
      // It answers nobody, or nobody wants it: as it is, it serves no later attempt either.
      await this.#giveUp(hand);
      if (abandoned.aborted) break;
    }
    const { session_id, name } = input.hand;
    const message = abandoned.aborted
      ? `Hand ${name} of session ${session_id} was ended as it started: nobody waits for it any more.`
      : `Hand ${name} of session ${session_id} ended again and again as it started.`;
    throw failure(FAILURE.sandboxUnavailable, message, { nonRetryable: false });
  }

  async execute(input: ExecuteInput, options: ExecuteOptions): Promise<ExecuteOutcome> {
    const { hand, session_id, call } = input;
    try {
      return toOutcome(await this.#connectionTo(hand).run(session_id, call, options));
    } catch (error) {
      if (!(error instanceof HandGoneError)) throw error;
      this.#forget(hand.instance, GONE);
      return { ...toOutcome(await this.#resultOfLost(input)), lost: true };
    }
  }

  async release(
    { hand, keep_workspace }: ReleaseInput,
    signal = new AbortController().signal,
  ): Promise<undefined> {
    if (hand.instance !== null) this.#forget(hand.instance, GONE);
    const { root, outputs } = findHandFolder(this.#stateFolder, hand);
    const record = readRecord(root);
    if (record !== undefined && isAnothers(record, hand)) return;
    if (record !== undefined) await endSupervisor(record);
    if (keep_workspace) return;
    if (this.#options.files !== undefined && hasFiles(outputs)) await this.collect(hand, signal);
    await removeFolder(root);
  }

  async collect(hand: HandName, signal: AbortSignal): Promise<CollectResult | null> {
    const { files, isolation, path = SYSTEM_PATH } = this.#options;
    const folder = findHandFolder(this.#stateFolder, hand);
    if (files !== undefined) return collectFiles(folder, hand, { files, isolation, path, signal });
    const message =
      'Hands of provider "local" give no files to a worker without a store: what they wrote is on ' +
      `the machine of their worker: ${folder.workspace}`;
    throw failure(FAILURE.sandboxGivesNoFiles, message, { nonRetryable: true });
  }

  close(): void {
    // Not a lost hand: it goes on, and the next attempt of what is pending attaches to it.
    const reason = failure(FAILURE.sandboxUnavailable, 'This worker is stopping.', {
      nonRetryable: false,
    });
    for (const instance of [...this.#connections.keys()]) this.#forget(instance, reason);
  }

  /** False when it is gone, does not answer, or is not wanted any more. */
  async #isReady(hand: HandName & ProvisionedHand, abandoned: AbortSignal): Promise<boolean> {
    const forget = (): void => this.#forget(hand.instance, GONE);
    const ready = this.#connectionTo(hand).ready();
    abandoned.addEventListener('abort', forget, { once: true });
    try {
      await ready;
      if (!abandoned.aborted) return true;
    } catch (error) {
      // This worker is stopping: the hand stays for the next attempt.
      if (!(error instanceof HandGoneError)) throw error;
    } finally {
      abandoned.removeEventListener('abort', forget);
    }
    forget();
    return false;
  }

  /**
   * False when it is gone, or not wanted any more.
   *
   * @throws {ApplicationFailure} A repository cannot be cloned: the hand is ended.
   */
  async #isSetUp(
    hand: HandName & ProvisionedHand,
    clones: readonly CloneStep[],
    { onWaiting, abandoned }: ProvisionOptions,
  ): Promise<boolean> {
    try {
      for (const { title, call } of clones) {
        onWaiting(title);
        const onProgress = ({ tail }: { readonly tail: string }): void =>
          onWaiting(`${title}: ${tail}`);
        // Each instance looks anew whether it is there.
        const own = { ...call, id: `${call.id}-${hand.instance}` };
        const { text, is_error } = await this.#connectionTo(hand).setUp(own, {
          detach: abandoned,
          onProgress,
        });
        if (is_error) throw failure(FAILURE.sandboxSetupFailed, text, { nonRetryable: true });
      }
      return true;
    } catch (error) {
      if (error instanceof ApplicationFailure && error.type === FAILURE.sandboxSetupFailed) {
        await this.#giveUp(hand);
        throw error;
      }
      if (!abandoned.aborted && !(error instanceof HandGoneError)) throw error;
      this.#forget(hand.instance, GONE);
      return false;
    }
  }

  /** Undefined when another worker's supervisor was faster. */
  async #start(input: ProvisionInput): Promise<ProvisionedHand | undefined> {
    const settings = settingsFor(input, this.#stateFolder, this.#options);
    giveAccess(input, settings.instance, { ...this.#options, stateFolder: this.#stateFolder });
    const report = await startSupervisor(settings);
    switch (report.type) {
      case 'ready':
        return { instance: settings.instance };
      case 'taken':
        return undefined;
      case 'isolation_missing':
        throw failure(FAILURE.sandboxIsolationMissing, report.message, { nonRetryable: true });
      case 'failed':
        throw failure(FAILURE.sandboxUnavailable, report.message, { nonRetryable: false });
      default:
        return assertNever(report);
    }
  }

  async #resultOfLost({ hand, session_id, call }: ExecuteInput): Promise<CallResult> {
    const folder = findHandFolder(this.#stateFolder, hand);
    const record = readRecord(folder.root);
    // A later instance started only after this one had been ended.
    if (record?.instance === hand.instance) await fence(record);
    return resultOfLostCall(folder.journal, { session_id, call_id: call.id });
  }

  #connectionTo(hand: HandName & ProvisionedHand): HandConnection {
    const { instance } = hand;
    const known = this.#connections.get(instance);
    if (known !== undefined) return known;
    const { root } = findHandFolder(this.#stateFolder, hand);
    const { silenceMs, isolation } = this.#options;
    const connection = createHandConnection({
      instance,
      open: () => openSocket(root, instance, isolation),
      ...(silenceMs === undefined ? {} : { silenceMs }),
    });
    this.#connections.set(instance, connection);
    return connection;
  }

  async #giveUp(hand: HandName & ProvisionedHand): Promise<void> {
    this.#forget(hand.instance, GONE);
    const record = readRecord(findHandFolder(this.#stateFolder, hand).root);
    if (record?.instance === hand.instance) await endSupervisor(record);
  }

  #forget(instance: string, reason: Error): void {
    this.#connections.get(instance)?.close(reason);
    this.#connections.delete(instance);
  }
}

/**
 * An empty text is no content: the Messages API refuses empty text blocks. One that no tool of ours
 * gives (a command may have tampered with the daemon) must not grow beyond what Temporal stores.
 */
function toOutcome({ text: whole, is_error }: CallResult): ExecuteOutcome {
  const text = whole.length <= MAX_RESULT_LENGTH ? whole : `${whole.slice(0, MAX_RESULT_LENGTH)}…`;
  return { content: text === '' ? [] : [{ type: 'text', text }], is_error };
}

function failure(
  type: FailureType,
  message: string,
  { nonRetryable }: { readonly nonRetryable: boolean },
): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable });
}
