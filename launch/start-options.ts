import { parseArgs } from 'node:util';

export interface StartOptions {
  /** Null: the built-in task. */
  readonly task: string | null;
  /** Exit when the session goes idle. */
  readonly once: boolean;
  readonly help: boolean;
}

export const USAGE = `npm start -- ["what the agent should do"] [--once]

  Starts a Temporal server and a worker, and runs one session on the task given, or on a
  built-in one. Stays up until Ctrl-C.

  --once   exit when the session goes idle: 0 if it ended its turn, else 1

  ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN or ANTHROPIC_BASE_URL: the model; without one, a rehearsal
  TEMPORAL_ADDRESS (and the other TEMPORAL_* variables and profiles): a server that runs already
  DROVER_STATE_FOLDER: where everything is kept; default ~/.local/state/drover
  DROVER_PAYLOAD_KEYS: a key ring (npx drover payload-keys create); what is kept is then encrypted
  DROVER_SANDBOX=unconfined: tools run without isolation
`;

/** @throws Error that says which option is wrong */
export function readStartOptions(args: readonly string[]): StartOptions {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { once: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
    const task = positionals.join(' ').trim();
    return {
      task: task === '' ? null : task,
      once: values.once ?? false,
      help: values.help ?? false,
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('. ')[0] : String(error);
    throw new Error(`${reason}; npm start -- --help shows the options`);
  }
}
