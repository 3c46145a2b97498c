import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import type { AgentInput, AgentReference } from '../protocol/agent.ts';
import { describeIssues } from '../protocol/describe-issues.ts';
import type { EnvironmentInput, EnvironmentReference } from '../protocol/environment.ts';
import type { PassedHand } from '../protocol/hand.ts';
import { historyEventId } from '../protocol/ids.ts';
import { findOversized } from '../protocol/oversized.ts';
import type { SessionResourceInput } from '../protocol/resource.ts';
import { SessionInput } from '../protocol/session.ts';
import type { SendInput, UserEvent } from '../protocol/user-event.ts';
import { WORKFLOW_TYPE } from '../protocol/workflow-type.ts';
import { EventTooLargeError } from './errors/event-too-large-error.ts';
import { InvalidInputError } from './errors/invalid-input-error.ts';
import type { Requests } from './requests.ts';

/** A string is one user message to the default agent. */
export type CreateSession =
  | string
  | {
      /** An inline definition, a reference, or the id of a registered agent. Default: the default agent. */
      readonly agent?: string | AgentInput | AgentReference;
      /** Of hand `main`, likewise. Default: the default environment. */
      readonly environment?: string | EnvironmentInput | EnvironmentReference;
      /** Hands by name; a hand of another session may be passed on. Default: `main` alone. */
      readonly hands?: Readonly<
        Record<string, string | EnvironmentInput | EnvironmentReference | PassedHand>
      >;
      /** Put into hand `main` as it is made. */
      readonly resources?: readonly SessionResourceInput[];
      /** Ids of vaults whose credentials the session may use, at most 20. */
      readonly vault_ids?: readonly string[];
      readonly initial_events?: SendInput;
      readonly title?: string | null;
      readonly metadata?: Readonly<Record<string, string>>;
    };

export interface CreateSessionOptions {
  /** Workflow id of the session, for ever. Default: a new one. */
  readonly id?: string;
}

/** A session as it was started; it may still wait for its first worker. */
export interface CreatedSession {
  readonly id: string;
  /** Of the session's first run: with the id it names the session among those of the same id. */
  readonly run_id: string;
  /** Ids of the initial events in the log. */
  readonly event_ids: readonly string[];
}

/** Recorded by the server at once, also when no worker runs yet. */
export async function createSession(
  requests: Requests,
  input: CreateSession,
  options: CreateSessionOptions = {},
): Promise<CreatedSession> {
  const parsed = parse(input);
  const events = parsed.initial_events ?? [];
  const oversized = findOversized(events, 'initial_events');
  if (oversized !== undefined) throw new EventTooLargeError(oversized);
  const id = options.id ?? `session-${randomUUID()}`;
  const title = titleOf(parsed.title, events);
  const handle = await requests.run({ type: 'session', id }, () =>
    requests.client.workflow.start(WORKFLOW_TYPE.session, {
      args: [input],
      taskQueue: requests.taskQueue,
      workflowId: id,
      // A session's id names one log: also after it ended.
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      ...(title === undefined ? {} : { staticSummary: toSummary(title), memo: { title } }),
    }),
  );
  const runId = handle.firstExecutionRunId;
  return {
    id,
    run_id: runId,
    event_ids: events.map((_, item) => historyEventId(runId, 1, item)),
  };
}

function parse(input: CreateSession): z.infer<typeof SessionInput> {
  const parsed = SessionInput.safeParse(input);
  if (!parsed.success) throw new InvalidInputError(describeIssues(parsed.error, 'session'));
  if (parsed.data.continued !== undefined) {
    throw new InvalidInputError('session.continued: is written by a roll-over only; leave it out');
  }
  return parsed.data;
}

const MAX_TITLE_CHARACTERS = 80;

/** What the Web UI and `list` call the session: its title, or the first words said to it. */
function titleOf(
  title: string | null | undefined,
  events: readonly UserEvent[],
): string | undefined {
  if (title !== null && title !== undefined) return title;
  const message = events.find((event) => event.type === 'user.message');
  const text = message?.content.find((block) => block.type === 'text')?.text;
  const line = text?.replace(/\s+/g, ' ').trim();
  if (line === undefined || line === '') return undefined;
  const characters = [...line];
  if (characters.length <= MAX_TITLE_CHARACTERS) return line;
  return `${characters.slice(0, MAX_TITLE_CHARACTERS - 1).join('')}…`;
}

const MAX_SUMMARY_BYTES = 400;

/** The server refuses a summary over 400 bytes, and the Web UI reads it as Markdown. */
function toSummary(title: string): string {
  const characters = [...title].map((character) =>
    /[\\`*_[\]<>]/.test(character) ? `\\${character}` : character,
  );
  while (Buffer.byteLength(JSON.stringify(characters.join(''))) > MAX_SUMMARY_BYTES) {
    characters.pop();
  }
  return characters.join('');
}
