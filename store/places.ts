import { createHash } from 'node:crypto';

// Where in a store things are. Ids that people choose are hashed: they can hold anything.

/** A session for ever: its workflow id may be used again after it ended. */
export interface StoredSession {
  /** Id, not name, of the Temporal namespace. */
  readonly namespaceId: string;
  /** Run id of its first run. */
  readonly chainId: string;
  readonly sessionId: string;
}

/** A file given to sessions; its id is made of its content. */
export function fileKey(fileId: string): string {
  return `files/${fileId}`;
}

export function fileIdOf(sha256: string): string {
  return `file_${sha256}`;
}

/** Folder of what is kept of one hand's workspace, whatever its generation. */
export function workspaceFolder(session: StoredSession, hand: string): string {
  return `workspaces/${digest([...identity(session), hand])}/`;
}

/** Folder of the files that a session's hands gave. */
export function outputsFolder(session: StoredSession): string {
  return `outputs/${digest(identity(session))}/`;
}

/** What one hand gave, listed. */
export function outputsListKey(session: StoredSession, hand: string): string {
  return `${outputsFolder(session)}lists/${digest([hand])}.json`;
}

/** The content of such a file. */
export function outputKey(session: StoredSession, sha256: string): string {
  return `${outputsFolder(session)}content/${sha256}`;
}

/** Folder of the results of MCP tools on their way into a session's hand. */
export function mcpResultsFolder({
  chainId,
  sessionId,
}: Omit<StoredSession, 'namespaceId'>): string {
  return `mcp-results/${digest([chainId, sessionId])}/`;
}

function identity({ namespaceId, chainId, sessionId }: StoredSession): readonly string[] {
  return [namespaceId, chainId, sessionId];
}

function digest(words: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(words)).digest('hex');
}
