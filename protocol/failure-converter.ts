import { DefaultFailureConverter } from '@temporalio/common';

/**
 * Where payloads are encrypted: puts a failure's message and stack trace into a payload of its own.
 * Reading needs no converter of its own, whichever of the two wrote.
 */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
