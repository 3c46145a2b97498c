import { SANDBOX } from './layout.ts';

/** A folder of the sandbox as a snapshot has it. */
export interface TransferPlace {
  /** Its name in the archive. */
  readonly name: string;
  readonly folder: string;
}

/** What is moved in and out of a sandbox; tests have folders of their own. */
export interface TransferPlaces {
  readonly workspace: TransferPlace;
  readonly outputs: TransferPlace;
  /** Journals of the sandboxes before this one, as one. */
  readonly past: TransferPlace;
  /** Journal of this one. */
  readonly journal: string;
  /** Drafts, and the mark of a restored workspace. */
  readonly state: string;
}

export const PLACES: TransferPlaces = {
  workspace: { name: 'workspace', folder: SANDBOX.workspace },
  outputs: { name: 'outputs', folder: SANDBOX.outputs },
  past: { name: 'past', folder: SANDBOX.past },
  journal: SANDBOX.journal,
  state: SANDBOX.state,
};
