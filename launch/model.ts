import { BUILT_IN_TASK, builtInTask } from '../rehearsal/built-in-task.ts';
import { SEED_REPOSITORY } from '../rehearsal/seed-repository.ts';
import { startRehearsalServer } from '../rehearsal/server.ts';

/** Who answers the model requests of this start. */
export interface Model {
  readonly rehearsal: boolean;
  /** Said at the start. */
  readonly words: string;
  /** For the worker, over what it inherits. */
  readonly variables: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

const PACE_MS = 15;

export function hasModel(variables: NodeJS.ProcessEnv): boolean {
  return [
    variables['ANTHROPIC_API_KEY'],
    variables['ANTHROPIC_AUTH_TOKEN'],
    variables['ANTHROPIC_BASE_URL'],
  ].some((value) => value !== undefined && value !== '');
}

/** The rehearsal lives in the launcher, so that it outlasts any worker. */
export async function openModel(variables: NodeJS.ProcessEnv): Promise<Model> {
  if (hasModel(variables)) {
    const baseUrl = variables['ANTHROPIC_BASE_URL'];
    return {
      rehearsal: false,
      words: `model: the Messages API${baseUrl ? ` at ${hostOf(baseUrl)}` : ''}`,
      variables: {},
      async close() {},
    };
  }
  const server = await startRehearsalServer({ player: builtInTask({ paceMs: PACE_MS }) });
  return {
    rehearsal: true,
    words:
      'model: a REHEARSAL. No ANTHROPIC_API_KEY is set, so no model thinks: a script answers. All ' +
      'the rest is real: the server, the worker, the sandbox, what the tools do.',
    variables: { ANTHROPIC_BASE_URL: server.url, ANTHROPIC_API_KEY: 'rehearsal' },
    close: () => server.close(),
  };
}

/** The first message of a session that is given no task; a script makes the repository by itself. */
export function builtInMessage(rehearsal: boolean): string {
  if (rehearsal) return BUILT_IN_TASK;
  return `Run this first, it makes the repository:\n\n${SEED_REPOSITORY}\n\n${BUILT_IN_TASK}`;
}

/** The rest of it may hold a secret. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'ANTHROPIC_BASE_URL, which is not a URL';
}
