/** No session of that id, running or closed. */
export class SessionNotFoundError extends Error {
  override readonly name = 'SessionNotFoundError';
  readonly code = 'session_not_found';
  readonly sessionId: string;

  constructor(sessionId: string, namespace: string, cause: unknown) {
    super(
      `there is no session ${sessionId} in namespace ${namespace}: check the id, or whether the ` +
        "namespace's retention has removed it",
      { cause },
    );
    this.sessionId = sessionId;
  }
}
