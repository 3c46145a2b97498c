import { HAND_VARIABLE } from '../../../hand/hand-processes.ts';
import { hasVariable, listProcesses } from '../../../hand/processes.ts';

/** Processes of a hand as its variable shows them, but for this one. */
export function markedProcesses(instance: string): number[] {
  return listProcesses()
    .filter(({ pid, isZombie }) => pid !== process.pid && !isZombie)
    .filter(({ entry }) => hasVariable(entry, HAND_VARIABLE, instance))
    .map(({ pid }) => pid);
}
