import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import {
  type TransferStream,
  transferBy,
} from '../../activities/hands/kubernetes/transfer-stream.ts';
import { serveTransfer } from '../../k8s/sandbox/transfer.ts';
import { readTransfer } from '../../k8s/sandbox/transfer-frames.ts';
import type { TransferPlaces } from '../../k8s/sandbox/transfer-places.ts';

/** The folders of a sandbox, on this machine, with the program that moves bulk. */
export interface TransferSandbox {
  readonly root: string;
  readonly places: TransferPlaces;
  /** A stream to the program, as an exec would give. */
  open(): Duplex;
  transfer<Result>(use: (transfer: TransferStream) => Promise<Result>): Promise<Result>;
  remove(): void;
}

export function createTransferSandbox(): TransferSandbox {
  const root = mkdtempSync(join(tmpdir(), 'drover-transfer-'));
  const place = (name: string) => {
    const folder = join(root, name);
    mkdirSync(folder);
    return { name, folder };
  };
  const places: TransferPlaces = {
    workspace: place('workspace'),
    outputs: place('outputs'),
    past: place('past'),
    journal: place('journal').folder,
    state: place('state').folder,
  };
  const open = (): Duplex => {
    const [near, far] = duplexPair();
    void serveTransfer({ frames: readTransfer(far), output: far, places }).then(() => far.end());
    return near;
  };
  return {
    root,
    places,
    open,
    transfer: (use) => transferBy(open(), new AbortController().signal, use),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
