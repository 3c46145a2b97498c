import { createHash } from 'node:crypto';
import type { ToolCall } from '../protocol/hand.ts';
import type { CallKey } from './wire.ts';

/** The journal's key of a call, as one string. */
export function keyOf(key: CallKey): string {
  return JSON.stringify([key.session_id, key.call_id]);
}

/** Journal scope of provisioning. It is no session's: their ids are never empty. */
export const SETUP_SCOPE = '';

/** Hash of what a call does. Two inputs that differ only in the order of their fields are one. */
export function inputHash(call: ToolCall): string {
  return createHash('sha256')
    .update(canonicalJson([call.name, call.input]))
    .digest('hex');
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
