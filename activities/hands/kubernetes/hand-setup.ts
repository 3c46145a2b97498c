import type { Duplex } from 'node:stream';
import type { HandConfiguration } from '../../../hand/configuration.ts';
import type { CallResult } from '../../../hand/wire.ts';
import type { ToolCall } from '../../../protocol/hand.ts';

// What makes a running pod the hand of a session, in two phases after its daemon said hello:
//
// 1. `configuration` is sent (`toHandConfiguration`): notice, variables of commands. The daemon
//    remembers it; a pod that is another's refuses it.
// 2. `steps` run one after the other (`toSetupSteps` lists them in order). A step works by journaled
//    calls, whose tools are in `k8s/sandbox/setup-tools.ts`, and may open exec streams for bulk.
//    Every attempt to provision runs all steps: a call that ran answers again, so what a step does
//    besides must bear repetition. The first that throws `SetupFailedError` ends the pod.

export interface HandSetup {
  readonly configuration: HandConfiguration;
  readonly steps: readonly SetupStep[];
}

export interface SetupStep {
  /** What it does, in words for who waits: "repository https://…". */
  readonly title: string;
  /** @throws {SetupFailedError} */
  run(hand: HandInSetup): Promise<void>;
}

/** The running pod, as a step sees it. */
export interface HandInSetup {
  /**
   * Runs a call in the reserved scope of provisioning. Its id must be the same for every attempt,
   * and another one for every other call of the hand.
   *
   * @throws {SetupFailedError} in the call's own words, when its result is an error.
   */
  call(call: ToolCall): Promise<CallResult>;
  /** Opens an exec stream of its own: standard input and output of a program in the pod. */
  exec(command: readonly string[]): Promise<Duplex>;
}

/** The hand cannot be made ready, and will not be by another attempt. */
export class SetupFailedError extends Error {
  override readonly name = 'SetupFailedError';
}

/** A step that is one journaled call. */
export function callStep(title: string, call: ToolCall): SetupStep {
  return {
    title,
    async run(hand) {
      await hand.call(call);
    },
  };
}
