/** How many connections each holder has, whatever a holder is. */
export class ConnectionCounts {
  readonly #counts = new Map<string, number>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  /** Undefined: it has as many as it may. Otherwise call what is returned once it has one less. */
  take(holder: string): (() => void) | undefined {
    const count = this.#counts.get(holder) ?? 0;
    if (count >= this.#most) return undefined;
    this.#counts.set(holder, count + 1);
    return () => this.#release(holder);
  }

  #release(holder: string): void {
    const count = (this.#counts.get(holder) ?? 0) - 1;
    if (count > 0) this.#counts.set(holder, count);
    else this.#counts.delete(holder);
  }
}
