import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { endProcesses, signal } from '../../../hand/end-processes.ts';
import { writeFrame } from '../../../hand/wire.ts';
import { removeHandGroup } from './hand-group.ts';
import { markedProcesses } from './marked-processes.ts';
import { isAlive, type SupervisorRecord } from './supervisor-record.ts';

const ASK_MS = 3_000;
const POLL_MS = 5;

/** Ends a supervisor and its hand: asks, then sees to it. Ended already is fine. */
export async function endSupervisor(record: SupervisorRecord): Promise<void> {
  if (isAlive(record)) {
    const socket = connect(record.socket);
    socket.on('error', () => {});
    writeFrame(socket, { type: 'end', id: '1' });
    const deadline = performance.now() + ASK_MS;
    while (isAlive(record) && performance.now() < deadline) await delay(POLL_MS);
    socket.destroy();
  }
  await fence(record);
}

/**
 * Makes sure that an instance does nothing any more, whatever state its supervisor is in. What its
 * journal says after this is final.
 */
export async function fence(record: SupervisorRecord): Promise<void> {
  if (isAlive(record)) signal(record.pid, 'SIGKILL');
  const left = await endProcesses(() => markedProcesses(record.instance), { graceMs: 0 });
  if (left.length > 0) {
    throw new Error(`Processes ${left.join(', ')} of hand ${record.instance} could not be ended.`);
  }
  removeHandGroup(record.instance);
}
