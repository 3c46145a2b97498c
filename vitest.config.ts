import { defineConfig } from 'vitest/config';

/** Layers that need a server share one dev server, started by `global-setup.ts`. */
function layer(
  name: string,
  options: { server: boolean; timeoutMs: number; globalSetup?: string },
) {
  const { globalSetup = options.server ? 'test/support/global-setup.ts' : undefined } = options;
  return {
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      environment: 'node',
      testTimeout: options.timeoutMs,
      hookTimeout: 60_000,
      ...(globalSetup === undefined ? {} : { globalSetup: [globalSetup] }),
    },
  };
}

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      layer('unit', { server: false, timeoutMs: 10_000 }),
      layer('replay', { server: false, timeoutMs: 30_000 }),
      layer('hand', { server: false, timeoutMs: 60_000 }),
      layer('workflow', { server: true, timeoutMs: 30_000 }),
      layer('integration', { server: true, timeoutMs: 60_000 }),
      layer('e2e', { server: false, timeoutMs: 120_000 }),
      layer('record', { server: true, timeoutMs: 60_000 }),
      layer('cluster', {
        server: false,
        timeoutMs: 120_000,
        globalSetup: 'test/cluster/test-run.ts',
      }),
      layer('vault', { server: false, timeoutMs: 60_000 }),
      layer('kill', { server: false, timeoutMs: 600_000 }),
    ],
  },
});
