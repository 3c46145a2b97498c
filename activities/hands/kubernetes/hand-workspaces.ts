import type { Duplex } from 'node:stream';
import { TRANSFER_COMMAND } from '../../../k8s/hand-job.ts';
import type { TemporalNamespace } from '../../../k8s/hand-labels.ts';
import { FAILURE } from '../../../protocol/failure.ts';
import type {
  HandInstance,
  HandName,
  ReleaseInput,
  ReleaseResult,
} from '../../../protocol/hand.ts';
import type { CollectResult } from '../../../protocol/output-list.ts';
import type { StoredSession } from '../../../store/places.ts';
import type { Store } from '../../../store/store.ts';
import type { HandConnection } from '../hand-connection.ts';
import { NoPodError } from './await-pod.ts';
import { collectOutputs } from './collect-outputs.ts';
import type { SetupStep } from './hand-setup.ts';
import { keepWorkspace, restoreWorkspace, SnapshotDamagedError } from './keep-workspace.ts';
import {
  type KeptWorkspaces,
  keptWorkspaces,
  type SnapshotRecord,
  type WorkspaceRecord,
} from './kept-workspaces.ts';
import { transferBy } from './transfer-stream.ts';
import { workspaceNotice } from './workspace-notice.ts';

/** What a new hand begins with. */
export interface WorkspacePlan {
  /** Told to the model; null for the first hand of its name. */
  readonly notice: string | null;
  /** Done before any other step. */
  readonly steps: readonly SetupStep[];
}

/** What outlives the sandboxes of hands: snapshots of their workspaces, and the files they gave. */
export interface HandWorkspaces<Sandbox> {
  plan(hand: HandName): Promise<WorkspacePlan>;
  /** Takes what is to outlive a running sandbox, once for each; nothing runs in it afterwards. */
  take(
    sandbox: Sandbox,
    hand: HandInstance,
    options: TakeOptions,
  ): Promise<ReleaseResult | undefined>;
  /** What an earlier attempt to take it came to. */
  taken(hand: HandInstance): Promise<ReleaseResult | undefined>;
  collect(sandbox: Sandbox, hand: HandInstance, signal: AbortSignal): Promise<CollectResult>;
  /** Removes the snapshots of a hand. The files that it gave stay. */
  forget(hand: HandName): Promise<void>;
}

export interface TakeOptions extends Pick<ReleaseInput, 'keep_workspace' | 'snapshot'> {
  readonly connection: HandConnection;
  readonly signal: AbortSignal;
}

const END_PROCESSES = { id: 'end_processes', name: 'end_processes', input: {} } as const;

/** What snapshots and files are moved by. */
export interface SandboxAccess<Sandbox> {
  readonly temporalNamespace: TemporalNamespace;
  /** Starts a program: the stream is its standard input and output. */
  exec(sandbox: Sandbox, command: readonly string[]): Promise<Duplex>;
}

export function createHandWorkspaces<Sandbox>(
  access: SandboxAccess<Sandbox>,
  store: Store,
): HandWorkspaces<Sandbox> {
  const sessionOf = ({ chain_id, session_id }: HandName): StoredSession => ({
    namespaceId: access.temporalNamespace.id,
    chainId: chain_id,
    sessionId: session_id,
  });
  const keptOf = (hand: HandName): KeptWorkspaces =>
    keptWorkspaces(store, sessionOf(hand), hand.name);
  const workspaces: HandWorkspaces<Sandbox> = {
    async plan(hand) {
      if (hand.generation === 1) return { notice: null, steps: [] };
      const kept = keptOf(hand);
      const found = await kept.find();
      const notice = workspaceNotice(hand.generation, found);
      const { snapshot } = found;
      return { notice, steps: snapshot === undefined ? [] : [restoreStep(kept, snapshot)] };
    },
    async taken(hand) {
      return toResult(await keptOf(hand).recordOf(hand.instance));
    },
    async take(sandbox, hand, { connection, signal, keep_workspace, snapshot: rules }) {
      await connection.setUp(END_PROCESSES, { detach: signal, onProgress: () => {} });
      await workspaces.collect(sandbox, hand, signal);
      if (!keep_workspace) return undefined;
      const { instance, generation } = hand;
      const stream = await access.exec(sandbox, TRANSFER_COMMAND);
      const record = await transferBy(stream, signal, (transfer) =>
        keepWorkspace(transfer, keptOf(hand), { instance, generation, rules, signal }),
      );
      return toResult(record);
    },
    async collect(sandbox, hand, signal) {
      const stream = await access.exec(sandbox, TRANSFER_COMMAND);
      const options = { session: sessionOf(hand), hand: hand.name, signal };
      return transferBy(stream, signal, (transfer) => collectOutputs(transfer, store, options));
    },
    forget: (hand) => keptOf(hand).forget(),
  };
  return workspaces;
}

function restoreStep(kept: KeptWorkspaces, snapshot: SnapshotRecord): SetupStep {
  return {
    title: `its workspace, as it was ${snapshot.at}`,
    async run({ exec }) {
      try {
        await restoreBy(await exec(TRANSFER_COMMAND), kept, snapshot);
      } catch (error) {
        if (!(error instanceof SnapshotDamagedError)) throw error;
        await kept.discard(snapshot, `its snapshot of ${snapshot.at} is damaged: ${error.message}`);
        // Another pod: what this one was told is not so.
        const type = FAILURE.sandboxSetupFailed;
        throw new NoPodError({ type, text: 'its snapshot is damaged', isPassing: true });
      }
    },
  };
}

function restoreBy(stream: Duplex, kept: KeptWorkspaces, snapshot: SnapshotRecord): Promise<void> {
  const { signal } = new AbortController();
  return transferBy(stream, signal, (transfer) => restoreWorkspace(transfer, kept, snapshot));
}

function toResult(record: WorkspaceRecord | undefined): ReleaseResult | undefined {
  if (record === undefined) return undefined;
  if (record.type === 'missed') return { workspace: 'not_kept', because: record.because };
  return { workspace: 'kept', files: record.files, bytes: record.bytes };
}
