/** What was read a moment ago, by name; readers of the same name at the same time share one read. */
export interface ReadCache<Value> {
  get(name: string): Promise<Value>;
  /** By a read that begins after the call; who asks while another one is on its way shares it. */
  refresh(name: string): Promise<Value>;
  forget(name: string): void;
  clear(): void;
}

interface Entry<Value> {
  readonly value: Promise<Value>;
  /** What was read may be as old as the beginning of the read. */
  readonly startedAtMs: number;
  isPending: boolean;
}

export interface ReadCacheOptions<Value> {
  readonly keptMs: number;
  readonly maxEntries: number;
  read(name: string): Promise<Value>;
}

/** A failed read is not kept. */
export function createReadCache<Value>(options: ReadCacheOptions<Value>): ReadCache<Value> {
  const { keptMs, maxEntries, read } = options;
  const entries = new Map<string, Entry<Value>>();
  const next = new Map<string, Promise<Value>>();

  function start(name: string): Promise<Value> {
    const entry = { value: read(name), startedAtMs: performance.now(), isPending: true };
    entries.delete(name);
    entries.set(name, entry);
    entry.value.then(
      () => {
        entry.isPending = false;
      },
      () => {
        if (entries.get(name) === entry) entries.delete(name);
      },
    );
    const [oldest] = entries.keys();
    if (entries.size > maxEntries && oldest !== undefined) entries.delete(oldest);
    return entry.value;
  }

  return {
    get(name) {
      const known = entries.get(name);
      if (known === undefined) return start(name);
      const isFresh = performance.now() - known.startedAtMs < keptMs;
      return known.isPending || isFresh ? known.value : start(name);
    },
    refresh(name) {
      const known = entries.get(name);
      if (!known?.isPending) return start(name);
      const queued = next.get(name);
      if (queued !== undefined) return queued;
      const begin = () => {
        next.delete(name);
        return start(name);
      };
      const following = known.value.then(begin, begin);
      next.set(name, following);
      return following;
    },
    forget: (name) => void entries.delete(name),
    clear: () => entries.clear(),
  };
}
