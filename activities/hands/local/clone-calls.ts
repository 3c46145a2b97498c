import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { FAILURE } from '../../../protocol/failure.ts';
import type { ProvisionInput, ToolCall } from '../../../protocol/hand.ts';
import { mountPathOf } from '../../../protocol/resource.ts';
import { cloneCall } from '../clone-call.ts';
import type { HandFolder } from './hand-folder.ts';

export interface CloneStep {
  /** For who waits. */
  readonly title: string;
  readonly call: ToolCall;
}

/** What the workspace is called in paths that are the same for every kind of hand. */
const WORKSPACE = '/workspace/';

/**
 * Clones the repositories of a session into its workspace.
 *
 * @throws {ApplicationFailure} One is meant for another place, which local hands do not have.
 */
export function cloneCalls(
  { resources, hand }: ProvisionInput,
  { workspace }: HandFolder,
): readonly CloneStep[] {
  return resources.flatMap((resource) => {
    if (resource.type !== 'github_repository') return [];
    const mount = mountPathOf(resource);
    if (!mount.startsWith(WORKSPACE)) {
      throw ApplicationFailure.create({
        type: FAILURE.sandboxUnsupportedConfig,
        message:
          `Local hands put repositories below ${WORKSPACE} only, and mount_path ${mount} of ` +
          `repository ${resource.url} (hand ${hand.name}) is elsewhere. Change it or leave it out.`,
        nonRetryable: true,
      });
    }
    const path = join(workspace, mount.slice(WORKSPACE.length));
    return [
      { title: `repository ${resource.url}`, call: cloneCall(resource, { resources, path }) },
    ];
  });
}
