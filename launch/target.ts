import { resolve } from 'node:path';
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
  const payloadKeys = payloadKeysOf(variables);
  return connectDrover({ address, namespace, profile: null, payloadKeys });
}

/** File of the key ring that this start encrypts with; null: it does not. */
export function payloadKeysOf(variables: NodeJS.ProcessEnv): string | null {
  const path = variables['DROVER_PAYLOAD_KEYS'] ?? '';
  return path === '' ? null : resolve(path);
}
