import { isDeepStrictEqual } from 'node:util';
import { keyOf, SETUP_SCOPE } from '../../hand/call-key.ts';
import {
  ConfigurationConflictError,
  type HandConfiguration,
  isHandConfiguration,
} from '../../hand/configuration.ts';
import { createHand, type Hand } from '../../hand/hand.ts';
import type { Journal } from '../../hand/journal.ts';
import type { ServedHand } from '../../hand/serve.ts';
import type { HandTool } from '../../hand/tool.ts';
import { withNotice } from '../../hand/with-notice.ts';
import { recallConfiguration, rememberConfiguration } from './remembered-configuration.ts';

/** Tools by name. */
export type Tools = Readonly<Record<string, HandTool>>;

export interface PodHandOptions {
  readonly journal: Journal;
  /** File that remembers the configuration. */
  readonly memory: string;
  /** Tools of sessions. */
  createTools(configuration: HandConfiguration): Tools;
  /** Tools of provisioning, which no session reaches. */
  createSetupTools(configuration: HandConfiguration): Tools;
}

/** Whether a key of the journal is that of a call of provisioning, which each sandbox runs anew. */
export function isSetupKey(key: string): boolean {
  return key.startsWith(keyOf({ session_id: SETUP_SCOPE, call_id: '' }).slice(0, -2));
}

/**
 * The hand of a pod, which is nobody's until it is configured: only then there are tools, and calls
 * are taken. What it was configured with holds for the life of the pod.
 */
export function createPodHand(options: PodHandOptions): ServedHand {
  let configured: Configured | undefined;
  const known = recallConfiguration(options.memory);
  if (known !== undefined) configured = equip(known, options);

  const ready = (): Configured => {
    if (configured === undefined) throw new Error('This sandbox is not configured: nothing ran.');
    return configured;
  };
  return {
    configure(configuration) {
      if (!isHandConfiguration(configuration)) {
        throw new TypeError('A hand cannot be configured with what is no configuration.');
      }
      if (configured === undefined) {
        rememberConfiguration(options.memory, configuration);
        configured = equip(configuration, options);
      } else if (!isDeepStrictEqual(configured.configuration, configuration)) {
        throw new ConfigurationConflictError(conflictBetween(configured, configuration));
      }
    },
    run: async (sessionId, call, watcher) => ready().hand.run(sessionId, call, watcher),
    setUp: async (call, watcher) => ready().setup.run(SETUP_SCOPE, call, watcher),
    // Nobody's calls can have come to a hand that is nobody's.
    cancel: (key) => configured?.hand.cancel(key),
  };
}

interface Configured {
  readonly configuration: HandConfiguration;
  readonly hand: Hand;
  readonly setup: Hand;
}

function equip(configuration: HandConfiguration, options: PodHandOptions): Configured {
  const { journal } = options;
  const tools = options.createTools(configuration);
  const { notice } = configuration;
  return {
    configuration,
    hand: createHand({
      journal,
      tools: notice === null ? tools : withNotice(tools, notice),
    }),
    setup: createHand({ journal, tools: options.createSetupTools(configuration) }),
  };
}

function conflictBetween({ configuration }: Configured, other: HandConfiguration): string {
  if (configuration.owner !== other.owner) {
    return `This sandbox is configured as ${configuration.owner} and cannot be ${other.owner} too.`;
  }
  return `Sandbox ${configuration.owner} is configured otherwise; that holds for its whole life.`;
}
