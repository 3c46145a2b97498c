import { TestWorkflowEnvironment } from '@temporalio/testing';
import type {} from 'vitest';
import type { TestProject } from 'vitest/node';
import { DYNAMIC_CONFIG } from '../../launch/dynamic-config.ts';
import { findTemporalBinary } from '../../launch/temporal-binary.ts';
import { SEARCH_ATTRIBUTES } from '../../protocol/search-attributes.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** host:port of the suite's Temporal server, namespace `default`. */
    temporalAddress: string;
    /** File of a key ring: with it, what the harness starts encrypts payloads. */
    payloadKeys?: string;
  }
}

/** Makes every longer test cross runs. */
const LOW_ROLL_OVER_THRESHOLD = 'limit.historyCount.suggestContinueAsNew=120';

/** One real dev server for all files of a layer; `TEMPORAL_ADDRESS` names one that runs already. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const running = process.env['TEMPORAL_ADDRESS'];
  if (running !== undefined) {
    project.provide('temporalAddress', running);
    return async () => {};
  }
  const binary = await findTemporalBinary();
  const environment = await TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path: binary.path },
      searchAttributes: Object.values(SEARCH_ATTRIBUTES),
      extraArgs: [...DYNAMIC_CONFIG, LOW_ROLL_OVER_THRESHOLD].flatMap((value) => [
        '--dynamic-config-value',
        value,
      ]),
    },
  });
  project.provide('temporalAddress', environment.address);
  return () => environment.teardown();
}
