import type { AgentMcpToolResult } from './session-event.ts';

/** Content of a file that a hands worker takes from the store, since no payload could hold it. */
export interface Attachment {
  readonly key: string;
  readonly bytes: number;
  readonly sha256: string;
  /** What the log gets, and the model, once the file is in the hand. */
  readonly result: AgentMcpToolResult;
}
