/** Where things are in a sandbox, whatever image it is made from. */
export const SANDBOX = {
  /** Folder of the daemon and its runtime: of the image, or a volume with a copy. */
  program: '/opt/drover',
  compiled: '/opt/drover/compiled',
  /** Programs of tools, for images that lack them. */
  tools: '/opt/drover/tools',
  /** Only in the image of hands in containers: see `confine.py`. */
  confine: '/opt/drover/tools/confine',
  /** Sockets of the workers, where a hand in a container brings its streams. */
  doors: '/run/drover-doors',
  /** Socket of the gateway, of a hand in a container too, and where its commands find the gateway. */
  gateway: '/run/drover-gateway/egress',
  gatewayPort: 3128,
  workspace: '/workspace',
  /** Of the commands' user; what is installed for a session goes here. */
  home: '/home/drover',
  /** What a session is given, and gives. */
  uploads: '/mnt/session/uploads',
  outputs: '/mnt/session/outputs',
  session: '/mnt/session',
  /** Socket, journal and outputs; a volume of the pod, so it survives what commands do to the image. */
  state: '/run/drover',
  socket: '/run/drover/hand.sock',
  configuration: '/run/drover/configuration.json',
  /** What commands are to trust. */
  trust: '/run/drover/trust',
  journal: '/run/drover/journal',
  /** Journals of the sandboxes whose workspace this one was given, as one. */
  past: '/run/drover/past',
  output: '/run/drover/output',
  temporary: '/tmp',
} as const;
