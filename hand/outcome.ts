import type { CallResult } from './wire.ts';

/** How a call whose result was never written can have ended. The model reads these texts. */
export const OUTCOME = {
  /** The call had started when its hand ended. */
  unknown: failed(
    'Outcome unknown: the sandbox ended while this call was running. It may have taken effect ' +
      'wholly, partly or not at all, and it was not run again. Background processes are gone; files ' +
      'in the workspace are as the call left them. Look at them before you repeat it.',
  ),
  /** The call was in the queue, or never arrived, when its hand ended. */
  neverRan: failed(
    'The sandbox was lost before this call started: nothing ran. Background processes are gone, ' +
      'files in the workspace are kept. You may make the call again; it gets a new sandbox.',
  ),
  /** The call ended so long ago that its result is not kept. */
  forgotten: failed(
    'This call ran and ended; its result is not kept any more, and it was not run again.',
  ),
  cancelled: failed('The call was cancelled before it started: nothing ran.'),
} as const;

function failed(text: string): CallResult {
  return { text, is_error: true };
}
