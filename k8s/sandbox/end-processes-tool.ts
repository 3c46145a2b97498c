import { endProcesses } from '../../hand/end-processes.ts';
import type { HandProcesses } from '../../hand/hand-processes.ts';
import type { HandTool } from '../../hand/tool.ts';

/** What has files open may want to write them. */
const GRACE_MS = 2_000;

/** Ends what the commands left running, so that nothing changes any more while files are kept. */
export function createEndProcessesTool(processes: HandProcesses): HandTool {
  return {
    hasEffects: false,
    async run(_input, call) {
      call.onStart();
      const left = await endProcesses(processes.all, { graceMs: GRACE_MS });
      return { text: left.length === 0 ? '' : `left: ${left.join(', ')}`, is_error: false };
    },
  };
}
