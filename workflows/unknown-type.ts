import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import { FAILURE } from '../protocol/failure.ts';
import { WORKFLOW_TYPE } from '../protocol/workflow-type.ts';

/** Stands for every type that does not exist: otherwise its first task would fail for ever. */
export default async function unknownType(): Promise<never> {
  const { workflowType, workflowId } = workflowInfo();
  throw ApplicationFailure.create({
    type: FAILURE.workflowUnknownType,
    message:
      `workflow ${workflowId}: there is no workflow type "${workflowType}". Start a session with ` +
      `--type ${WORKFLOW_TYPE.session}`,
    nonRetryable: true,
  });
}
