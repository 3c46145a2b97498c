/** A closed run of the chain is gone: the namespace's retention has passed. */
export class RunNotRetainedError extends Error {
  override readonly name = 'RunNotRetainedError';
  readonly code = 'run_not_retained';
  readonly sessionId: string;
  readonly runId: string;

  constructor(sessionId: string, runId: string, cause: unknown) {
    super(
      `run ${runId} of session ${sessionId} is no longer on the server: the namespace's retention ` +
        'has passed. Read from a later position, or raise the retention for sessions to come',
      { cause },
    );
    this.sessionId = sessionId;
    this.runId = runId;
  }
}
