import type { Audit } from './chaos/audit.ts';
import { type Fault, runChaos } from './chaos/chaos-run.ts';
import { commandFaults } from './chaos/faults.ts';
import { clusterInput } from './cluster/cluster-input.ts';
import { distributionOf } from './measure.ts';
import { progress, type Report } from './report.ts';

const FAULTS = 300;
const LANES = 5;
const DEFAULT_SEED = 20_260_401;

/** Sessions write numbered lines while what they run on is broken in every way that we know. */
export async function run(): Promise<Report> {
  const { kubeconfig, image } = clusterInput();
  const seed = Number(process.env['DROVER_CHAOS_SEED'] ?? DEFAULT_SEED);
  const faults = Number(process.env['DROVER_CHAOS_FAULT_COUNT'] ?? FAULTS);
  const file = process.env['DROVER_CHAOS_COMMANDS'];
  const moreKinds = file === undefined ? [] : await commandFaults(file);
  progress(`seed ${seed}; DROVER_CHAOS_SEED sets another`);
  const result = await runChaos({ kubeconfig, image, seed, faults, lanes: LANES, moreKinds });
  const { audit } = result;
  for (const line of tableOf(result.faults)) progress(line);
  for (const line of [...wrongs(audit), ...result.left.map((what) => `left: ${what}`)]) {
    progress(line);
  }
  return {
    bench: 'chaos-hands',
    figures: {
      seed,
      faults: countsOf(result.faults),
      sessions: result.sessions,
      commands: audit.commands,
      commands_answered: audit.answered,
      commands_of_unknown_outcome: audit.unknown,
      sandboxes_lost: audit.lostSandboxes,
    },
    targets: [
      { name: 'faults', value: result.faults.length, limit: FAULTS, is: 'at_least' },
      { name: 'commands run twice', value: audit.ranTwice.length, limit: 0, is: 'equal' },
      { name: 'results lost', value: audit.resultsLost.length, limit: 0, is: 'equal' },
      { name: 'sessions stuck', value: audit.stuck.length, limit: 0, is: 'equal' },
      {
        name: 'lost sandboxes not reported',
        value: audit.unreported.length,
        limit: 0,
        is: 'equal',
      },
      {
        name: 'sandboxes given up for no cause',
        value: audit.needless.length,
        limit: 0,
        is: 'equal',
      },
      { name: 'Jobs, pods and volumes left', value: result.left.length, limit: 0, is: 'equal' },
    ],
    baseline: {},
  };
}

function countsOf(faults: readonly Fault[]): Record<string, object> {
  const kinds = Map.groupBy(faults, ({ kind }) => kind);
  return Object.fromEntries([...kinds].map(([kind, list]) => [kind, countOf(list)]));
}

function countOf(faults: readonly Fault[]) {
  const waits = faults.flatMap(({ recoveryMs }) => (recoveryMs === null ? [] : [recoveryMs]));
  const count = faults.length;
  return waits.length === 0 ? { count } : { count, recovery_ms: distributionOf(waits) };
}

function tableOf(faults: readonly Fault[]): string[] {
  const kinds = [...Map.groupBy(faults, ({ kind }) => kind)].sort();
  return [
    row('fault', 'times', 'all went on after', 'at most'),
    ...kinds.map(([kind, list]) => {
      const { count, recovery_ms: recovery } = countOf(list);
      const seconds = (ms: number | undefined) => `${((ms ?? Number.NaN) / 1000).toFixed(1)} s`;
      return row(kind, String(count), seconds(recovery?.p50), seconds(recovery?.max));
    }),
    row('together', String(faults.length), '', ''),
  ];
}

function row(kind: string, times: string, usually: string, most: string): string {
  return `${kind.padEnd(28)}${times.padStart(6)}${usually.padStart(20)}${most.padStart(10)}`;
}

function wrongs(audit: Audit): string[] {
  return [
    ...audit.ranTwice.map((what) => `ran twice: ${what}`),
    ...audit.resultsLost.map((what) => `result lost: ${what}`),
    ...audit.stuck.map((what) => `stuck: ${what}`),
    ...audit.unreported.map((what) => `unreported: ${what}`),
    ...audit.needless.map((what) => `given up for no cause: ${what}`),
  ];
}
