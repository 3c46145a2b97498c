import type Anthropic from '@anthropic-ai/sdk';
import type { StepReader } from '../../log/step-reader.ts';
import type { BrainActivities } from '../../protocol/model-step.ts';
import { checkResultSize } from './check-result-size.ts';
import { respond } from './respond.ts';

const STALL_TIMEOUT_MS = 120_000;

export interface ModelDependencies {
  /** Its own retries are not used: Temporal owns retry. */
  readonly anthropic: Anthropic;
  readonly log: StepReader;
  /** Silence of the model server, pings included, after which an attempt fails. Default 120 s. */
  readonly stallTimeoutMs?: number;
}

export function createModelActivities({
  anthropic,
  log,
  stallTimeoutMs = STALL_TIMEOUT_MS,
}: ModelDependencies): Pick<BrainActivities, 'respond' | 'record'> {
  return {
    respond: () => respond({ anthropic, log, stallTimeoutMs }),
    // What an activity returns is what enters the log, so there is nothing more to do.
    record: async (input) => {
      checkResultSize(input);
      return input;
    },
  };
}
