import { FLUSH, type PacketReader, packetLine } from './git-packet-line.ts';
import { Refusal } from './refusal.ts';

/** One ref that a push changes. Ids are of 40 or 64 lower case hexadecimal digits. */
export interface PushCommand {
  readonly ref: string;
  /** Null: the ref is made. */
  readonly from: string | null;
  /** Null: the ref is deleted. */
  readonly to: string | null;
}

/** What stands before the pack of a push (gitprotocol-pack, "Reference Update Request"). */
export interface PushHead {
  readonly commands: readonly PushCommand[];
  /** Ids of commits at which the history of the sender is cut off. */
  readonly shallow: readonly string[];
  readonly capabilities: readonly string[];
}

const MAX_LINES = 2_000;
const COMMAND =
  /^(?<from>[0-9a-f]{40}|[0-9a-f]{64}) (?<to>[0-9a-f]{40}|[0-9a-f]{64}) (?<ref>[^\p{Cc}\s]{1,1024})$/u;
const SHALLOW = /^shallow (?<id>[0-9a-f]{40}|[0-9a-f]{64})$/;
const ZERO = /^0+$/;

/**
 * @returns no commands when there are none: so git asks whether it may push at all.
 * @throws {Refusal} It is anything else than a list of commands.
 */
export async function readPushHead(reader: PacketReader): Promise<PushHead> {
  const commands: PushCommand[] = [];
  const shallow: string[] = [];
  let capabilities: readonly string[] = [];
  for await (const content of linesOf(reader)) {
    const [line, listed] = splitLine(content);
    const id = SHALLOW.exec(line)?.groups?.['id'];
    if (id !== undefined) {
      shallow.push(id);
    } else {
      if (commands.length === 0 && listed !== undefined) capabilities = listed;
      commands.push(toCommand(line));
    }
  }
  const head = { commands, shallow, capabilities };
  checkFormat(head);
  return head;
}

async function* linesOf(reader: PacketReader): AsyncGenerator<Buffer> {
  for (let count = 0; count <= MAX_LINES; count += 1) {
    const packet = await reader.next();
    if (packet === undefined) throw malformed('the list of refs has no end');
    if (packet.type === 'data') yield packet.content;
    else if (packet.length === 0) return;
    else throw malformed('the list of refs has parts');
  }
  throw malformed(`it names more than ${MAX_LINES} refs at once; push them in parts`);
}

/** Of these it is known what they ask for. */
const PASSED_ON =
  /^(?:report-status|report-status-v2|side-band-64k|quiet|atomic|ofs-delta|delete-refs|object-format=.*|agent=.*)$/;

/** Written anew from what was understood, so that the server understands the same. */
export function writePushHead({ commands, shallow, capabilities: asked }: PushHead): Buffer {
  const capabilities = asked.filter((one) => PASSED_ON.test(one));
  const lines = commands.map(({ ref, from, to }, index) => {
    const zero = '0'.repeat((from ?? to ?? '').length);
    const command = `${from ?? zero} ${to ?? zero} ${ref}`;
    return packetLine(index === 0 ? `${command}\0 ${capabilities.join(' ')}` : command);
  });
  const cuts = shallow.map((id) => packetLine(`shallow ${id}`));
  return Buffer.concat([...cuts, ...lines, Buffer.from(FLUSH)]);
}

function splitLine(content: Buffer): readonly [line: string, capabilities?: readonly string[]] {
  const text = content.toString('utf8').replace(/\n$/, '');
  if (text.startsWith('push-cert')) throw malformed('signed pushes are not passed on');
  const end = text.indexOf('\0');
  if (end < 0) return [text];
  const capabilities = text.slice(end + 1).split(' ');
  return [text.slice(0, end), capabilities.filter((one) => /^[\x21-\x7e]+$/.test(one))];
}

function toCommand(line: string): PushCommand {
  const { from, to, ref } = COMMAND.exec(line)?.groups ?? {};
  if (from === undefined || to === undefined || ref === undefined) {
    throw malformed('a line of the list of refs is none');
  }
  const isNothing = ZERO.test(from) && ZERO.test(to);
  if (isNothing || from.length !== to.length) throw malformed('a ref goes from and to nothing');
  return { ref, from: ZERO.test(from) ? null : from, to: ZERO.test(to) ? null : to };
}

/** One kind of ids in a request, and no ref twice. */
function checkFormat({ commands, shallow, capabilities }: PushHead): void {
  const ids = [...commands.map(({ from, to }) => from ?? to ?? ''), ...shallow];
  const format = capabilities.find((one) => one.startsWith('object-format='));
  const length = format === 'object-format=sha256' ? 64 : 40;
  if (ids.some((id) => id.length !== length)) throw malformed('ids are not of the object format');
  const refs = new Set(commands.map(({ ref }) => ref));
  if (refs.size < commands.length) throw malformed('a ref is named twice');
}

function malformed(words: string): Refusal {
  return new Refusal({ status: 400, reason: 'malformed', words: `no push of git: ${words}` });
}
