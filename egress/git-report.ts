import { FLUSH, packetLine, sideBand } from './git-packet-line.ts';
import type { PushHead } from './git-push-head.ts';

const MAX_WORDS_LENGTH = 1_000;

/**
 * The answer to a push of which nothing was done, as a server's hook would give it: git prints the
 * words behind `remote:`, and behind each ref why it was not pushed.
 *
 * @param why By ref. Others are told that they went down with these.
 * @returns undefined when the client cannot be told so.
 */
export function reportRefusedPush(
  { commands, capabilities }: PushHead,
  words: string,
  why: ReadonlyMap<string, string>,
): Buffer | undefined {
  if (!capabilities.some((one) => /^report-status(?:-v2)?$/.test(one))) return undefined;
  const lines = commands.map(({ ref }) => {
    const reason = why.get(ref) ?? (why.size > 0 ? 'refused with the others' : words);
    return packetLine(`ng ${ref} ${oneLine(reason)}\n`);
  });
  const report = Buffer.concat([packetLine('unpack ok\n'), ...lines, Buffer.from(FLUSH)]);
  if (!capabilities.includes('side-band-64k')) return report;
  return Buffer.concat([
    sideBand(2, `drover: ${oneLine(words)}\n`),
    sideBand(1, report),
    Buffer.from(FLUSH),
  ]);
}

/** The answer to a fetch that does not go on: git prints `remote error:` with the words. */
export function reportRefusedFetch(words: string): Buffer {
  return packetLine(`ERR drover: ${oneLine(words)}`);
}

function oneLine(words: string): string {
  return words.replace(/[\p{Cc}\s]+/gu, ' ').slice(0, MAX_WORDS_LENGTH);
}
