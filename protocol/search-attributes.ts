import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

/** Search attributes of a session; a namespace must have them before a worker polls. */
export const SEARCH_ATTRIBUTES = {
  status: defineSearchAttributeKey('SessionStatus', SearchAttributeType.KEYWORD),
  stopReason: defineSearchAttributeKey('SessionStopReason', SearchAttributeType.KEYWORD),
  agent: defineSearchAttributeKey('SessionAgent', SearchAttributeType.KEYWORD),
} as const;
