export interface BareActivities {
  /** Does nothing, and says when: milliseconds by the clock that `clockMs` reads. */
  empty(): Promise<number>;
}

export const bareActivities: BareActivities = { empty: async () => clockMs() };

/** A clock that processes of one machine share, finer than `Date.now`. */
export function clockMs(): number {
  return performance.timeOrigin + performance.now();
}
