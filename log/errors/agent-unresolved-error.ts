/** A model step was asked for before the session knew its agent. */
export class AgentUnresolvedError extends Error {
  override readonly name = 'AgentUnresolvedError';
  readonly code = 'agent_unresolved';

  constructor(sessionId: string) {
    super(`session ${sessionId} has no resolved agent in its history; schedule resolve first`);
  }
}
