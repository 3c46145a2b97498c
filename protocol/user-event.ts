import { z } from 'zod';
import { ResultContent, UserContent } from './content.ts';

/** Events a user sends, as in the Managed Agents API; `content` may be a string. */
const UserMessage = z.strictObject({ type: z.literal('user.message'), content: UserContent });

const UserInterrupt = z.strictObject({ type: z.literal('user.interrupt') });

/** Bounded, since whoever refuses an event names its call. */
const CallId = z.string().min(1).max(256);

const UserToolConfirmation = z.strictObject({
  type: z.literal('user.tool_confirmation'),
  tool_use_id: CallId,
  result: z.enum(['allow', 'deny']),
  deny_message: z.string().nullish(),
});

const UserCustomToolResult = z.strictObject({
  type: z.literal('user.custom_tool_result'),
  custom_tool_use_id: CallId,
  content: ResultContent.optional(),
  is_error: z.boolean().nullish(),
});

export const UserEvent = z.preprocess(
  (value) => (typeof value === 'string' ? { type: 'user.message', content: value } : value),
  z.discriminatedUnion('type', [
    UserMessage,
    UserInterrupt,
    UserToolConfirmation,
    UserCustomToolResult,
  ]),
);
export type UserEvent = z.infer<typeof UserEvent>;

/**
 * What `send` takes: one event or several; a string is one user message. Stops at the first event
 * that is wrong: a session checks this within a workflow task, which may take one second.
 */
export const UserEvents = z
  .preprocess(
    (value) => (Array.isArray(value) ? value : [value]),
    z
      .array(z.unknown())
      .min(1, 'must hold at least one event')
      .max(100, 'must hold at most 100 events'),
  )
  .transform((values, context) => {
    const events: UserEvent[] = [];
    for (const [index, value] of values.entries()) {
      const parsed = UserEvent.safeParse(value);
      if (!parsed.success) {
        for (const { path, message } of parsed.error.issues) {
          context.addIssue({ code: 'custom', path: [index, ...path], message });
        }
        return z.NEVER;
      }
      events.push(parsed.data);
    }
    return events;
  });
export type UserEvents = z.infer<typeof UserEvents>;

/** One event as a caller writes it: with the shorthands. */
export type UserEventInput =
  | string
  | { readonly type: 'user.message'; readonly content: string | UserContent }
  | z.infer<typeof UserInterrupt>
  | z.infer<typeof UserToolConfirmation>
  | (Omit<z.infer<typeof UserCustomToolResult>, 'content'> & {
      readonly content?: string | ResultContent | undefined;
    });

export type SendInput = UserEventInput | readonly UserEventInput[];
