/** Processes and threads that a hand may have at once. */
export const MAX_PROCESSES = 1_024;

/** Size that one file of a hand may have. */
const MAX_FILE_MIB = 16 * 1024;

/**
 * For a shell within the sandbox, whose user namespace counts the processes of this hand only. The
 * kernel spares root from the limit of processes: its hands have a control group.
 */
export const SET_LIMITS = [
  'ulimit -c 0',
  `ulimit -f ${MAX_FILE_MIB * 1024}`,
  `ulimit -u ${MAX_PROCESSES}`,
]
  // A lower one that is set already stays.
  .map((limit) => `${limit} 2>/dev/null;`)
  .join(' ');
