/** Cancels the requests that `call` makes when `signal` aborts: `withAbortSignal` of a connection. */
export type WithAbortSignal = <Result>(
  signal: AbortSignal,
  call: () => Promise<Result>,
) => Promise<Result>;

/** Joins the request of this key, made by `call` if none is under way; undefined once aborted. */
export type JoinRequest<Result> = (
  key: string,
  call: () => Promise<Result>,
  signal: AbortSignal,
) => Promise<Result | undefined>;

interface Request<Result> {
  readonly result: Promise<Result>;
  readonly ending: AbortController;
  waiting: number;
}

/**
 * Requests of one key that are under way at the same time are one: a hundred readers that wait for
 * the next event of a run cost the server one long poll. Each waits until its own signal aborts;
 * the request itself is cancelled when the last of them has left.
 */
export function createSharedRequests<Result>(
  withAbortSignal?: WithAbortSignal,
): JoinRequest<Result> {
  const underWay = new Map<string, Request<Result>>();

  function start(key: string, call: () => Promise<Result>): Request<Result> {
    // Each request has a signal of its own: connections listen on the one they get for ever.
    const ending = new AbortController();
    const result = withAbortSignal === undefined ? call() : withAbortSignal(ending.signal, call);
    const request = { result, ending, waiting: 0 };
    underWay.set(key, request);
    const forget = () => {
      if (underWay.get(key) === request) underWay.delete(key);
    };
    result.then(forget, forget);
    ending.signal.addEventListener('abort', forget, { once: true });
    return request;
  }

  return async (key, call, signal) => {
    if (signal.aborted) return undefined;
    const request = underWay.get(key) ?? start(key, call);
    // Programs on Node 20 use this: it has no Promise.withResolvers.
    let onAbort = (): void => {};
    const aborted = new Promise<undefined>((resolve) => {
      onAbort = () => resolve(undefined);
    });
    signal.addEventListener('abort', onAbort, { once: true });
    request.waiting += 1;
    try {
      return await Promise.race([request.result, aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      request.waiting -= 1;
      if (request.waiting === 0) request.ending.abort();
    }
  };
}
