/**
 * Results of `call` in the order of `inputs`, with at most `concurrency` calls under way or
 * waiting to be taken. Whoever stops taking starts no further calls.
 */
export async function* inOrder<Input, Result>(
  inputs: readonly Input[],
  concurrency: number,
  call: (input: Input) => Promise<Result>,
): AsyncGenerator<Result> {
  const underWay: Promise<Result>[] = [];
  const start = (input: Input) => {
    const result = call(input);
    // A failure is thrown when its turn comes, which may be never.
    result.catch(() => {});
    underWay.push(result);
  };
  let started = 0;
  const startNext = () => {
    for (const input of inputs.slice(started, started + 1)) start(input);
    started += 1;
  };
  for (let slot = 0; slot < concurrency; slot += 1) startNext();
  for (let next = underWay.shift(); next !== undefined; next = underWay.shift()) {
    yield await next;
    startNext();
  }
}
