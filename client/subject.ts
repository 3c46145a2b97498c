/** What a request is about, for messages. */
export interface Subject {
  readonly type: 'session' | 'agent' | 'environment' | 'file';
  readonly id: string;
}
