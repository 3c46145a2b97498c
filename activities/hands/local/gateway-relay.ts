import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { relayGateway } from '../../../k8s/sandbox/relay-gateway.ts';
import type { HandAccess } from './hand-access.ts';

/** A port of this machine behind which the gateway is, as one hand sees it. */
export interface GatewayRelay {
  readonly port: number;
  close(): void;
}

const AWAY = '502 the gateway does not answer: no worker of this machine runs it (role egress)';

/** The gateway goes and comes back with its worker. */
export async function openGatewayRelay({
  socket: path,
  hand: instance,
}: NonNullable<HandAccess['gateway']>): Promise<GatewayRelay> {
  const server = relayGateway({ port: 0, path, instance }, AWAY);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: () => void server.close(),
  };
}
