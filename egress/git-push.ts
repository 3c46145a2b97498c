import { NotForwardError, provenPack } from './git-fast-forward.ts';
import { createPacketReader, type PacketReader } from './git-packet-line.ts';
import { type PushHead, readPushHead, writePushHead } from './git-push-head.ts';
import { movesToProve, whyRefused } from './git-push-rules.ts';
import { reportRefusedPush } from './git-report.ts';
import type { GitAnswer, GitServer } from './git-server.ts';
import type { TokenRepository } from './hand-token.ts';
import { Refusal } from './refusal.ts';

export interface PushSource {
  readonly content: AsyncIterable<Buffer>;
  readonly protocol: string | undefined;
}

export type PushOutcome =
  | { readonly type: 'answered'; readonly answer: GitAnswer }
  /** Nothing was done; the client is told so. */
  | { readonly type: 'refused'; readonly refusal: Refusal; readonly report: Buffer };

/**
 * Passes a push on, if all that it asks for is allowed: one ref that is not, and nothing of it goes.
 *
 * @throws {Refusal} The client cannot be told by a report.
 */
export async function push(
  { content, protocol }: PushSource,
  rules: TokenRepository['push'],
  open: () => Promise<GitServer>,
): Promise<PushOutcome> {
  const reader = createPacketReader(content);
  const head = await readPushHead(reader);
  try {
    check(head, rules);
    const server = await open();
    const content = bodyOf(head, reader, rules, server);
    const body = { content, isConditional: movesToProve(head.commands, rules).length > 0 };
    const request = { service: 'git-receive-pack', step: 'exchange', protocol, body } as const;
    return { type: 'answered', answer: await server.ask(request) };
  } catch (error) {
    await reader.close();
    return toOutcome(head, error);
  }
}

async function* bodyOf(
  head: PushHead,
  reader: PacketReader,
  rules: TokenRepository['push'],
  server: GitServer,
): AsyncGenerator<Buffer> {
  yield writePushHead(head);
  if (head.commands.length === 0) return;
  const moves = movesToProve(head.commands, rules);
  yield* moves.length === 0 ? reader.rest() : provenPack(reader.rest(), moves, server);
}

/** @throws {NotAllowedError} */
function check({ commands, capabilities }: PushHead, rules: TokenRepository['push']): void {
  if (capabilities.includes('push-options')) {
    throw new Refusal({
      status: 403,
      reason: 'ref-not-allowed',
      words: 'options of a push (--push-option) are not passed on',
    });
  }
  const why = new Map<string, string>();
  for (const command of commands) {
    const reason = whyRefused(command, rules);
    if (reason !== undefined) why.set(command.ref, reason);
  }
  if (why.size > 0) throw new NotAllowedError(why);
}

class NotAllowedError extends Error {
  override readonly name = 'NotAllowedError';
  readonly why: ReadonlyMap<string, string>;

  constructor(why: ReadonlyMap<string, string>) {
    super('a ref may not be pushed');
    this.why = why;
  }
}

function toOutcome(head: PushHead, error: unknown): PushOutcome {
  const why =
    error instanceof NotAllowedError || error instanceof NotForwardError
      ? error.why
      : new Map<string, string>();
  const [first] = why;
  const refusal =
    first === undefined
      ? error
      : new Refusal({ status: 403, reason: 'ref-not-allowed', words: `${first[0]}: ${first[1]}` });
  if (!(refusal instanceof Refusal)) throw error;
  const report = reportRefusedPush(head, refusal.message, why);
  if (report === undefined) throw refusal;
  return { type: 'refused', refusal, report };
}
