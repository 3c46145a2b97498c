/** The cluster's API refused, or could not be reached. */
export class ClusterError extends Error {
  override readonly name = 'ClusterError';
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** The error of an answer, in the API's own words where it has any. */
export function toClusterError(status: number, body: string, what: string): ClusterError {
  return new ClusterError(status, `${what}: ${statusMessage(body) ?? `HTTP ${status}`}`);
}

export function statusMessage(body: string): string | undefined {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value !== 'object' || value === null || !('message' in value)) return undefined;
    return typeof value.message === 'string' ? value.message : undefined;
  } catch {
    return body.trim() === '' ? undefined : body.trim().slice(0, 500);
  }
}
