/**
 * Stands where a payload could not be decoded. Fails every schema, so a message names it. `message`
 * says the same where it stands for the encoded attributes of a failure.
 */
export interface Undecodable {
  readonly undecodable: string;
  readonly message?: string;
}

export function isUndecodable(value: unknown): value is Undecodable {
  return (
    typeof value === 'object' &&
    value !== null &&
    'undecodable' in value &&
    typeof value.undecodable === 'string'
  );
}

export function describeUndecodable({ undecodable }: Undecodable, name: string): string {
  return `${name}: undecodable: ${undecodable}`;
}
