/** The run's history schedules no model step under that activity id. */
export class StepNotFoundError extends Error {
  override readonly name = 'StepNotFoundError';
  readonly code = 'step_not_found';

  constructor(at: { workflowId: string; runId: string; activityId: string }) {
    super(
      `run ${at.runId} of session ${at.workflowId} schedules no model step with activity id ` +
        `${at.activityId}; a model step can only be read by the activity that the session scheduled`,
    );
  }
}
