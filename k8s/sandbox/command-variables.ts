import { SANDBOX } from './layout.ts';

/** Where programs that a user installs go, by the habits of their managers. */
const PROGRAM_FOLDERS = ['.local/bin', '.cargo/bin', 'go/bin'] as const;
/** The daemon's own, which commands do not get. */
const OWN_VARIABLES = ['NODE_COMPILE_CACHE', 'POD_UID'] as const;

/**
 * The environment of commands: that of the image, with a home of our own, in which programs are
 * found, and with the variables of the configuration above all.
 *
 * @param image Environment of the daemon, as the image and the pod set it.
 */
export function commandVariables(
  image: NodeJS.ProcessEnv,
  configured: Readonly<Record<string, string>>,
): NodeJS.ProcessEnv {
  const { home } = SANDBOX;
  const variables = { ...image };
  for (const name of OWN_VARIABLES) delete variables[name];
  const folders = PROGRAM_FOLDERS.map((folder) => `${home}/${folder}`);
  return {
    LANG: 'C.UTF-8',
    TERM: 'dumb',
    ...variables,
    HOME: home,
    USER: 'drover',
    LOGNAME: 'drover',
    PATH: [...folders, image['PATH'] ?? SYSTEM_PATH].join(':'),
    NODE_PATH: `${home}/.local/lib/node_modules`,
    ...configured,
  };
}

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
