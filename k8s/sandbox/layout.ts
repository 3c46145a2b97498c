/** Where things are in a sandbox, whatever image it is made from. */
export const SANDBOX = {
  /** Folder of the daemon and its runtime in the image. */
  program: '/opt/drover',
  workspace: '/workspace',
  /** Socket, journal and outputs; a volume of the pod, so it survives what commands do to the image. */
  state: '/run/drover',
  socket: '/run/drover/hand.sock',
  journal: '/run/drover/journal',
  output: '/run/drover/output',
  temporary: '/tmp',
} as const;
