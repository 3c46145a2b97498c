/** At most so many at once; the others wait their turn. */
export function createTurns(
  atOnce: number,
): <Result>(run: () => Promise<Result>) => Promise<Result> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (run) => {
    if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await run();
    } finally {
      const next = waiting.shift();
      // A turn is handed over, so nobody can come between.
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
