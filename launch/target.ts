import { loadClientConnectConfig } from '@temporalio/envconfig';
import { connectDrover, type Drover } from '../client/index.ts';

/** A server that somebody else runs, by the standard variables and profiles. */
export interface ConfiguredServer {
  readonly address: string;
  readonly namespace: string;
}

/** Null when no address is configured: then we run our own. */
export function configuredServer(): ConfiguredServer | null {
  const { connectionOptions, namespace } = loadClientConnectConfig();
  const { address } = connectionOptions;
  if (address === undefined || address === '') return null;
  return { address, namespace: namespace ?? 'default' };
}

/** Connects as configured. @throws ServerUnreachableError within seconds */
export function connectConfigured(): Promise<Drover> {
  return connectDrover();
}

/** Connects to a server of ours, whatever is configured for others. */
export function connectOwn(
  address: string,
  namespace: string,
  variables: NodeJS.ProcessEnv,
): Promise<Drover> {
  const payloadKeys = variables['DROVER_PAYLOAD_KEYS'] || null;
  return connectDrover({ address, namespace, profile: null, payloadKeys });
}
