import { createHash } from 'node:crypto';

/** Parents of commits, as the commits themselves say: an id is the hash of what has it. */
export interface CommitGraph {
  parentsOf(id: string): readonly string[] | undefined;
}

/** What the way from a commit back to an earlier one came to. */
export type Ancestry =
  | { readonly type: 'proven' }
  /** All that the later one leads on from is known, and the earlier one is not among it. */
  | { readonly type: 'disproven' }
  | { readonly type: 'unknown'; readonly missing: readonly string[] };

/** Whether `to` leads on from `from`. */
export function ancestryOf(
  { from, to }: { readonly from: string; readonly to: string },
  graphs: readonly CommitGraph[],
): Ancestry {
  const seen = new Set([to]);
  const open = [to];
  const missing: string[] = [];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (id === from) return { type: 'proven' };
    const parents = parentsIn(graphs, id);
    if (parents === undefined) missing.push(id);
    for (const parent of parents ?? []) {
      if (seen.has(parent)) continue;
      seen.add(parent);
      open.push(parent);
    }
  }
  return missing.length === 0 ? { type: 'disproven' } : { type: 'unknown', missing };
}

/** The id of a commit by its content. */
export function commitId(content: Buffer, format: 'sha1' | 'sha256'): string {
  return createHash(format).update(`commit ${content.length}\0`).update(content).digest('hex');
}

const TREE = /^tree (?:[0-9a-f]{40}|[0-9a-f]{64})\n/;
const PARENT = /^parent ([0-9a-f]{40}|[0-9a-f]{64})\n/;
const PARENT_BYTES = 'parent \n'.length;

/** The parents that a commit names: they stand, as git reads them, right after its tree. */
export function parentsIn(
  graphs: readonly CommitGraph[],
  id: string,
): readonly string[] | undefined {
  for (const graph of graphs) {
    const parents = graph.parentsOf(id);
    if (parents !== undefined) return parents;
  }
  return undefined;
}

export function parentsNamedIn(content: Buffer): readonly string[] {
  const parents: string[] = [];
  const tree = TREE.exec(content.toString('latin1', 0, 80));
  let at = tree?.[0].length ?? content.length;
  for (;;) {
    const [, parent] = PARENT.exec(content.toString('latin1', at, at + 80)) ?? [];
    if (parent === undefined) return parents;
    parents.push(parent);
    at += PARENT_BYTES + parent.length;
  }
}
