/**
 * What a hand is told of the session that it is for: by the first message on its stream, since what
 * it is started from tells nothing of any session.
 */
export interface HandConfiguration {
  /** Names the one hand of a session that this is. */
  readonly owner: string;
  /** Told to the model with the first result; null when there is nothing to tell. */
  readonly notice: string | null;
  /** Variables of its commands, over those of the image. */
  readonly variables: Readonly<Record<string, string>>;
  /** PEM of one more authority that its commands trust: that of the gateway. */
  readonly authority?: string;
}

/** The hand is configured already, and otherwise. */
export class ConfigurationConflictError extends Error {
  override readonly name = 'ConfigurationConflictError';
}

export function isHandConfiguration(value: unknown): value is HandConfiguration {
  if (typeof value !== 'object' || value === null) return false;
  const { owner, notice, variables, authority } = value as Readonly<Record<string, unknown>>;
  if (typeof owner !== 'string') return false;
  if (notice !== null && typeof notice !== 'string') return false;
  if (authority !== undefined && typeof authority !== 'string') return false;
  if (typeof variables !== 'object' || variables === null) return false;
  return Object.values(variables).every((variable) => typeof variable === 'string');
}
