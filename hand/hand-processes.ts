import {
  hasVariable,
  listProcesses,
  ownEntry,
  type ProcessEntry,
  type ProcessSnapshot,
} from './processes.ts';

/** Variable that every process of a hand inherits: how they are found when they left their group. */
export const HAND_VARIABLE = 'DROVER_HAND';

export interface HandProcesses {
  /** Every process of the hand but the daemon. */
  all(): number[];
  /**
   * Processes that a command started: new since `before`, and neither the daemon's own tools nor
   * children of a process that is older than the command.
   */
  startedSince(before: ProcessSnapshot, shellPid: number): number[];
}

/**
 * Finds the processes of the hand that this process is the daemon of.
 *
 * @param options.ownsNamespace The hand has a pid namespace of its own: all in it belongs to it.
 *   Otherwise its processes are the daemon's descendants and those with the hand's variable, which
 *   misses one that cleared its environment and left its parents.
 */
export function createHandProcesses(options: {
  readonly instance: string;
  readonly ownsNamespace: boolean;
}): HandProcesses {
  const daemon = ownEntry();

  const list = (): Tree => {
    const tree = new Tree(listProcesses());
    const belongs = (process: ProcessEntry): boolean => {
      if (process.entry === daemon || process.isZombie) return false;
      // Neither the init of the namespace, which the kernel spares from signals of its children, nor
      // what entered from outside, as the streams to the daemon do: that has no parent in here.
      if (options.ownsNamespace) return process.pid !== 1 && process.parentEntry !== 0;
      return (
        tree.ancestors(process).includes(daemon) ||
        hasVariable(process.entry, HAND_VARIABLE, options.instance)
      );
    };
    tree.keep(belongs);
    return tree;
  };

  return {
    all: () => list().kept.map(({ pid }) => pid),
    startedSince(before, shellPid) {
      const tree = list();
      const shell = tree.kept.find(({ pid }) => pid === shellPid)?.entry;
      const isOld = (entry: number): boolean => before.has(entry) && tree.isKept(entry);
      const isStarted = (process: ProcessEntry): boolean => {
        if (process.entry === shell) return true;
        if (before.has(process.entry)) return false;
        const owner = tree
          .ancestors(process)
          .find((entry) => entry === shell || entry === daemon || isOld(entry));
        return owner === undefined || owner === shell;
      };
      return tree.kept.filter(isStarted).map(({ pid }) => pid);
    },
  };
}

class Tree {
  kept: readonly ProcessEntry[] = [];
  readonly #byEntry: ReadonlyMap<number, ProcessEntry>;
  #keptEntries: ReadonlySet<number> = new Set();

  constructor(processes: readonly ProcessEntry[]) {
    this.#byEntry = new Map(processes.map((process) => [process.entry, process]));
  }

  keep(predicate: (process: ProcessEntry) => boolean): void {
    this.kept = [...this.#byEntry.values()].filter(predicate);
    this.#keptEntries = new Set(this.kept.map(({ entry }) => entry));
  }

  isKept(entry: number): boolean {
    return this.#keptEntries.has(entry);
  }

  /** Parent, its parent, and so on. */
  ancestors(process: ProcessEntry): number[] {
    const entries: number[] = [];
    let parent = this.#byEntry.get(process.parentEntry);
    while (parent !== undefined && !entries.includes(parent.entry)) {
      entries.push(parent.entry);
      parent = this.#byEntry.get(parent.parentEntry);
    }
    return entries;
  }
}
