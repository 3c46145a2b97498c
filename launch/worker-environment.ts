import { join } from 'node:path';

/** Environment of a worker for a server of our own: nothing configured for another one reaches it. */
export function forOwnServer(
  variables: NodeJS.ProcessEnv,
  target: { readonly address: string; readonly namespace: string; readonly stateFolder: string },
): NodeJS.ProcessEnv {
  const kept = Object.entries(variables).filter(([name]) => !name.startsWith('TEMPORAL_'));
  return {
    ...Object.fromEntries(kept),
    TEMPORAL_ADDRESS: target.address,
    TEMPORAL_NAMESPACE: target.namespace,
    // A file that does not exist: an empty one is taken for a broken one.
    TEMPORAL_CONFIG_FILE: join(target.stateFolder, 'no-temporal.toml'),
  };
}
