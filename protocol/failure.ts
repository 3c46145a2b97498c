/**
 * Dotted `type` values of every `ApplicationFailure` that Drover throws. They are stored in history
 * and matched by retry policies and clients: add, never rename.
 */
export const FAILURE = {
  modelRateLimited: 'Model.RateLimited',
  modelOverloaded: 'Model.Overloaded',
  modelUnavailable: 'Model.Unavailable',
  modelStalled: 'Model.Stalled',
  modelInvalidRequest: 'Model.InvalidRequest',
  modelAuthentication: 'Model.Authentication',
  modelNotFound: 'Model.NotFound',
  modelBilling: 'Model.Billing',
  modelResultTooLarge: 'Model.ResultTooLarge',
  modelInterrupted: 'Model.Interrupted',
  sandboxIsolationMissing: 'Sandbox.IsolationMissing',
  sandboxUnavailable: 'Sandbox.Unavailable',
  sandboxUnknownProvider: 'Sandbox.UnknownProvider',
  sandboxUnsupportedConfig: 'Sandbox.UnsupportedConfig',
  sandboxImageMissing: 'Sandbox.ImageMissing',
  sandboxUnschedulable: 'Sandbox.Unschedulable',
  sandboxQuotaExceeded: 'Sandbox.QuotaExceeded',
  sandboxOutOfMemory: 'Sandbox.OutOfMemory',
  sandboxStartFailed: 'Sandbox.StartFailed',
  /** Packages, a repository or a file could not be put into it. */
  sandboxSetupFailed: 'Sandbox.SetupFailed',
  sandboxClusterRefused: 'Sandbox.ClusterRefused',
  sandboxClusterUnreachable: 'Sandbox.ClusterUnreachable',
  /** Details: the generation that the hand is at. Known again only to a session that was reset. */
  sandboxSuperseded: 'Sandbox.Superseded',
  sandboxJournalConflict: 'Sandbox.JournalConflict',
  /** The store cannot be reached, which may pass. */
  storeUnreachable: 'Store.Unreachable',
  storeRefused: 'Store.Refused',
  /** A hand of a kind whose files cannot be collected. */
  sandboxGivesNoFiles: 'Sandbox.GivesNoFiles',
  workflowUnknownType: 'Workflow.UnknownType',
  sessionInvalidInput: 'Session.InvalidInput',
  sessionInvalidEvent: 'Session.InvalidEvent',
  sessionLogIncomplete: 'Session.LogIncomplete',
  agentNotFound: 'Agent.NotFound',
  agentArchived: 'Agent.Archived',
  agentInvalid: 'Agent.Invalid',
  environmentNotFound: 'Environment.NotFound',
  environmentArchived: 'Environment.Archived',
  environmentInvalid: 'Environment.Invalid',
  /** The session, its agent or its owner may not use the vault. */
  vaultNotPermitted: 'Vault.NotPermitted',
  vaultNotFound: 'Vault.NotFound',
  vaultCredentialNotFound: 'Vault.CredentialNotFound',
  /** A credential of another kind than its use asks for. */
  vaultWrongKind: 'Vault.WrongKind',
  /** The backend or a token endpoint cannot be reached, which may pass. */
  vaultUnavailable: 'Vault.Unavailable',
  vaultSealed: 'Vault.Sealed',
  /** The key of an encrypted folder is wrong, lost or malformed. */
  vaultKeyInvalid: 'Vault.KeyInvalid',
  /** A token endpoint refused a refresh token: somebody has to authorize again. */
  vaultRefreshFailed: 'Vault.RefreshFailed',
  /** What is asked of it is malformed, or is there already. */
  vaultInvalid: 'Vault.Invalid',
  /** An MCP server surely got no request, so that it may be sent again. */
  mcpNotSent: 'Mcp.NotSent',
} as const;

export type FailureType = (typeof FAILURE)[keyof typeof FAILURE];
