import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { ApplicationFailure } from '@temporalio/common';
import { FAILURE } from '../../../protocol/failure.ts';
import type { ProvisionInput, ReleasedHand } from '../../../protocol/hand.ts';
import { HandGoneError } from '../hand-gone-error.ts';
import type { ProvisionedHand } from '../provider.ts';
import { endSupervisor } from './end-supervisor.ts';
import { isAlive, readRecord, type SupervisorRecord } from './supervisor-record.ts';
import type { Isolation } from './supervisor-settings.ts';

/** The instance that has the hand already. One that may not be used any more is ended. */
export async function presentInstance(
  root: string,
  { hand }: ProvisionInput,
  isolation: Isolation,
): Promise<ProvisionedHand | undefined> {
  const record = readRecord(root);
  if (record === undefined) return undefined;
  if (record.generation > hand.generation) {
    const message = `Hand ${hand.name} of session ${hand.session_id} is at generation ${record.generation} already.`;
    throw ApplicationFailure.create({
      type: FAILURE.sandboxSuperseded,
      message,
      nonRetryable: true,
      details: [record.generation],
    });
  }
  if (record.generation === hand.generation && isUsable(record, isolation)) {
    return { instance: record.instance };
  }
  await endSupervisor(record);
  return undefined;
}

/** A later generation's, or another instance than the one that is meant. */
export function isAnothers(
  record: SupervisorRecord,
  { instance, generation }: ReleasedHand,
): boolean {
  return instance === null ? record.generation > generation : record.instance !== instance;
}

/** A hand that was made unconfined is not used by a worker that requires isolation. */
function isUsable(record: SupervisorRecord, isolation: Isolation): boolean {
  return isAlive(record) && (isolation === 'unconfined' || record.isolation === 'required');
}

export async function openSocket(
  root: string,
  instance: string,
  isolation: Isolation,
): Promise<Socket> {
  const record = readRecord(root);
  if (record?.instance !== instance || !isUsable(record, isolation)) {
    throw new HandGoneError(`Hand instance ${instance} has ended.`);
  }
  const socket = connect(record.socket);
  await once(socket, 'connect');
  // A hand that idles must not keep a worker from ending.
  return socket.unref();
}
