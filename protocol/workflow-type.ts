/** Workflow types that people start by name. Stored in history: never rename. */
export const WORKFLOW_TYPE = {
  session: 'session',
  agent: 'agent',
  environment: 'environment',
  outputs: 'outputs',
} as const;
