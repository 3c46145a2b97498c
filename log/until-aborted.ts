/** Cancels the requests that `call` makes when `signal` aborts: `withAbortSignal` of a connection. */
export type WithAbortSignal = <Result>(
  signal: AbortSignal,
  call: () => Promise<Result>,
) => Promise<Result>;

/**
 * The result of `call`, or undefined once `signal` aborts. Each call gets a signal of its own:
 * connections listen on the one they are given and never stop.
 */
export async function untilAborted<Result>(
  call: () => Promise<Result>,
  signal: AbortSignal,
  withAbortSignal?: WithAbortSignal,
): Promise<Result | undefined> {
  if (signal.aborted) return undefined;
  const own = new AbortController();
  const { promise: aborted, resolve } = Promise.withResolvers<undefined>();
  const onAbort = () => {
    own.abort();
    resolve(undefined);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  const result = withAbortSignal === undefined ? call() : withAbortSignal(own.signal, call);
  try {
    return await Promise.race([result, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    // Cancelled by us: nobody waits for it any more.
    result.catch(() => {});
  }
}
