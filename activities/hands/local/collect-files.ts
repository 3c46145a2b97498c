import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import { serveTransfer } from '../../../k8s/sandbox/transfer.ts';
import { readTransfer } from '../../../k8s/sandbox/transfer-frames.ts';
import type { HandName } from '../../../protocol/hand.ts';
import type { CollectResult } from '../../../protocol/output-list.ts';
import type { Store } from '../../../store/store.ts';
import { collectOutputs } from '../kubernetes/collect-outputs.ts';
import { transferBy } from '../kubernetes/transfer-stream.ts';
import type { HandFolder } from './hand-folder.ts';
import { TRANSFER_PROGRAM, transferPaths } from './readable-paths.ts';
import { OUTPUTS } from './session-paths.ts';
import type { Isolation } from './supervisor-settings.ts';

export interface FilesAccess {
  openStore(): Promise<Store>;
  /** Id of the Temporal namespace. */
  readonly namespaceId: string;
}

export function hasFiles(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).length > 0;
}

/** Writes what a hand gave to the store; null when there is no such hand any more. */
export async function collectFiles(
  folder: HandFolder,
  { session_id: sessionId, chain_id: chainId, name }: HandName,
  options: {
    readonly files: FilesAccess;
    readonly isolation: Isolation;
    readonly path: string;
    readonly signal: AbortSignal;
  },
): Promise<CollectResult | null> {
  const { files, isolation, path, signal } = options;
  if (!existsSync(folder.outputs)) return null;
  const session = { namespaceId: files.namespaceId, chainId, sessionId };
  const store = await files.openStore();
  const stream = isolation === 'required' ? openIsolated(folder, path) : openHere(folder);
  return transferBy(stream, signal, (transfer) =>
    collectOutputs(transfer, store, { session, hand: name, signal }),
  );
}

/**
 * In a sandbox of its own, with nothing in it but those files: what they are is the hand's to say,
 * and a link in the place of a folder would lead out of them.
 */
function openIsolated({ outputs }: HandFolder, path: string): Duplex {
  const system = ['/usr', '/bin', '/lib', '/lib64'].flatMap((one) => ['--ro-bind-try', one, one]);
  const program = transferPaths().flatMap((one) => ['--ro-bind', one, one]);
  const options = [
    ...['--unshare-all', '--die-with-parent', '--new-session', '--proc', '/proc', '--dev', '/dev'],
    ...[...system, ...program, '--ro-bind', outputs, OUTPUTS],
  ];
  const child = spawn('bwrap', [...options, process.execPath, TRANSFER_PROGRAM, '--serve'], {
    env: { PATH: path },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  // Joined by hand: what it said is there to be read when it has ended, and takes no more.
  const [near, far] = duplexPair();
  child.stdout.pipe(far).pipe(child.stdin);
  child.stdin.on('error', () => {});
  child.once('error', (error) => near.destroy(error));
  near.once('close', () => void child.kill('SIGKILL'));
  return near;
}

/** The hand may do all that this process may. */
function openHere({ root, outputs: folder, workspace, journal }: HandFolder): Duplex {
  const [near, far] = duplexPair();
  const places = {
    workspace: { name: 'workspace', folder: workspace },
    outputs: { name: 'outputs', folder },
    past: { name: 'past', folder: join(root, 'past') },
    journal,
    state: root,
  };
  void serveTransfer({ frames: readTransfer(far), output: far, places }).then(() => far.end());
  return near;
}
