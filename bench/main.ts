import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import { MissingInputError } from './missing-input-error.ts';
import { type CheckedReport, checkReport, progress, type Report } from './report.ts';

/** One file per claim; each is loaded only when it is asked for. */
const BENCHES: Readonly<Record<string, () => Promise<{ run(): Promise<Report> }>>> = {
  step: () => import('./step.ts'),
  history: () => import('./history.ts'),
  wake: () => import('./wake.ts'),
  tail: () => import('./tail.ts'),
  sandbox: () => import('./sandbox.ts'),
  exec: () => import('./exec.ts'),
  ttft: () => import('./ttft.ts'),
  vault: () => import('./vault.ts'),
  'chaos-hands': () => import('./chaos-hands.ts'),
  'replay-recording': () => import('./replay-recording.ts'),
};

/** Exit codes: 0 all targets met, 1 one missed or a failure, 2 it could not be run as asked. */
const USAGE_EXIT_CODE = 2;

async function main(name: string): Promise<void> {
  const load = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined;
  if (load === undefined) {
    const names = Object.keys(BENCHES).join(', ');
    throw new MissingInputError(`usage: npm run bench -- NAME, where NAME is one of ${names}`);
  }
  quietWorkers();
  const { run } = await load();
  const report = checkReport(await run());
  for (const line of describe(report)) progress(line);
  finish(report, report.ok ? 0 : 1);
}

/** Ends the process too: without a worker the SDK's native runtime would keep it. */
function finish(result: unknown, exitCode: number): void {
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(exitCode));
}

/** Standard output is for the result, and what workers run in here say is no news. */
function quietWorkers(): void {
  const filter = makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' });
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { filter, forward: {} } },
  });
}

function describe({ targets }: CheckedReport): string[] {
  return targets.map(({ name, value, limit, is = 'at_most', met }) => {
    const relation = { at_most: '≤', at_least: '≥', equal: '=' }[is];
    return `${met ? 'met   ' : 'MISSED'} ${name}: ${value} (${relation} ${limit})`;
  });
}

/** Processes that a bench started end with this one, by their handlers of `exit`. */
function fail(bench: string, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  console.error(error instanceof MissingInputError ? message : error);
  finish(
    { bench, ok: false, figures: {}, targets: [], baseline: {}, error: message },
    error instanceof MissingInputError ? USAGE_EXIT_CODE : 1,
  );
}

const [name = ''] = process.argv.slice(2);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => process.exit(1));
}
process.on('uncaughtException', (error) => fail(name, error));
main(name).catch((error: unknown) => fail(name, error));
