import type { OpenCall } from '../protocol/session.ts';

/** Temporal refuses summaries over 400 bytes, encrypted or not; a person reads less. */
const MAX_SUMMARY_CHARACTERS = 60;

/** What a person would call a tool call: `bash: npm test`, `read: src/main.ts`. */
export function summarizeCall(call: Pick<OpenCall, 'name' | 'input' | 'mcp_server_name'>): string {
  if (call.mcp_server_name !== undefined) return shorten(`${call.mcp_server_name}: ${call.name}`);
  const subject = call.input['command'] ?? call.input['file_path'] ?? call.input['pattern'];
  if (typeof subject !== 'string') return shorten(call.name);
  return shorten(`${call.name}: ${subject}`);
}

function shorten(text: string): string {
  // What is escaped in JSON would be six bytes a character.
  const line = text
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .toWellFormed();
  if (line.length <= MAX_SUMMARY_CHARACTERS) return line;
  const cut = line.slice(0, MAX_SUMMARY_CHARACTERS - 1);
  // Never half a character.
  return `${cut.isWellFormed() ? cut : cut.slice(0, -1)}…`;
}
