import {
  DEFAULT_ENVIRONMENT,
  type EnvironmentDefinition,
  type EnvironmentReference,
  type ResolvedEnvironment,
} from './environment.ts';
import { MAIN_HAND, type PassedHand } from './hand.ts';
import type { SessionInput } from './session.ts';

type Named<Value> = Readonly<Record<string, Value>>;

/** Where the hands that a session's input names come from. */
export interface HandSources {
  readonly inline: Named<ResolvedEnvironment>;
  readonly references: Named<EnvironmentReference>;
  readonly passed: Named<PassedHand>;
}

/** Pure: the workflow and the projection take the same from one input. */
export function handSourcesOf({
  environment = DEFAULT_ENVIRONMENT,
  hands = {},
}: Pick<SessionInput, 'environment' | 'hands'>): HandSources {
  const inline: Record<string, ResolvedEnvironment> = {};
  const references: Record<string, EnvironmentReference> = {};
  const passed: Record<string, PassedHand> = {};
  for (const [name, source] of Object.entries({ [MAIN_HAND]: environment, ...hands })) {
    if (isPassed(source)) passed[name] = source;
    else if (isReference(source)) references[name] = source;
    else inline[name] = { id: null, version: null, definition: source };
  }
  // A session has an environment also when its main hand is another's.
  if (MAIN_HAND in passed) {
    inline[MAIN_HAND] = { id: null, version: null, definition: DEFAULT_ENVIRONMENT };
  }
  return { inline, references, passed };
}

type HandSource = EnvironmentDefinition | EnvironmentReference | PassedHand;

function isPassed(source: HandSource): source is PassedHand {
  return 'type' in source && source.type === 'hand';
}

function isReference(source: HandSource): source is EnvironmentReference {
  return 'type' in source && source.type === 'environment';
}
