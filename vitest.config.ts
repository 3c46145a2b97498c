import { defineConfig } from 'vitest/config';

/** Layers that need a server share one dev server, started by `global-setup.ts`. */
function layer(
  name: string,
  options: {
    server: boolean;
    timeoutMs: number;
    globalSetup?: string;
    /** Files of other layers that it runs too, on what its own set-up gives. */
    also?: readonly string[];
  },
) {
  const { globalSetup = options.server ? 'test/support/global-setup.ts' : undefined } = options;
  return {
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`, ...(options.also ?? [])],
      environment: 'node',
      testTimeout: options.timeoutMs,
      hookTimeout: Math.max(60_000, options.timeoutMs / 2),
      ...(globalSetup === undefined ? {} : { globalSetup: [globalSetup] }),
    },
  };
}

/** Runs once all other projects have ended: it takes away what they stand on. */
function afterOthers({ test }: ReturnType<typeof layer>) {
  return { test: { ...test, sequence: { groupOrder: 1 } } };
}

/**
 * Files that share processes: what they import is loaded once, by Node itself. One more of them than
 * there are cores, since these tests wait a lot.
 */
function sharing({ test }: ReturnType<typeof layer>) {
  const experimental = { viteModuleRunner: false };
  return { test: { ...test, isolate: false, experimental, maxWorkers: 3 } };
}

/** The essential tests of a session pass with its payloads encrypted as they do without. */
const ENCRYPTED_TOO = [
  'workflow/session-actions',
  'workflow/session-hands',
  'workflow/session-input',
  'workflow/session-previews',
  'workflow/session-reset',
  'workflow/session-roll-over',
  'workflow/session-turns',
  'workflow/session-visible',
  'workflow/registry',
  'integration/client-sessions',
  'integration/registered-environments',
].map((file) => `test/${file}.test.ts`);

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      sharing(layer('unit', { server: false, timeoutMs: 10_000 })),
      sharing(layer('replay', { server: false, timeoutMs: 30_000 })),
      sharing(layer('hand', { server: false, timeoutMs: 60_000 })),
      sharing(layer('workflow', { server: true, timeoutMs: 30_000 })),
      sharing(layer('integration', { server: true, timeoutMs: 60_000 })),
      layer('encrypted', {
        server: true,
        timeoutMs: 60_000,
        globalSetup: 'test/support/encrypted-setup.ts',
        also: ENCRYPTED_TOO,
      }),
      sharing(layer('e2e', { server: false, timeoutMs: 120_000 })),
      layer('record', { server: true, timeoutMs: 60_000 }),
      layer('cluster', {
        server: false,
        timeoutMs: 240_000,
        globalSetup: 'test/cluster/test-run.ts',
      }),
      afterOthers(
        layer('cluster-node', {
          server: false,
          timeoutMs: 480_000,
          globalSetup: 'test/cluster/test-run.ts',
        }),
      ),
      layer('vault', { server: false, timeoutMs: 60_000 }),
      layer('compose', {
        server: false,
        timeoutMs: 120_000,
        globalSetup: 'test/compose/build-images.ts',
      }),
      layer('kill', { server: false, timeoutMs: 600_000 }),
    ],
  },
});
