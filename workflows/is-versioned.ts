import { workflowInfo } from '@temporalio/workflow';

/** Whether the worker belongs to a deployment; one that does not has a version without its name. */
export function isVersioned(): boolean {
  return Boolean(workflowInfo().currentDeploymentVersion?.deploymentName);
}
