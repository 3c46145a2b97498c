import type { CommitGraph } from './git-commit-graph.ts';
import { PackCommits } from './git-pack-commits.ts';
import { createPacketReader, FLUSH, packetLine } from './git-packet-line.ts';
import type { GitServer } from './git-server.ts';

const VERSION = 'version=2';
const DATA_BAND = 1;
const MAX_CAPABILITIES = 100;

/**
 * Asks the server for the history that some commits of its own add to an earlier one (version 2 of
 * the protocol). Without files, where the server leaves them out.
 *
 * @returns undefined when it does not say.
 */
export async function askAncestors(
  server: GitServer,
  asked: {
    readonly of: readonly string[];
    readonly since: string;
    readonly format: 'sha1' | 'sha256';
  },
): Promise<CommitGraph | undefined> {
  const fetch = await fetchCapability(server);
  if (fetch === undefined) return undefined;
  const lines = [
    ...(fetch.split(' ').includes('filter') ? ['filter tree:0'] : []),
    'no-progress',
    ...asked.of.map((id) => `want ${id}`),
    `have ${asked.since}`,
    'done',
  ];
  const head = ['command=fetch', `object-format=${asked.format}`].map((line) => packetLine(line));
  const body = Buffer.concat([
    ...head,
    Buffer.from('0001'),
    ...lines.map((line) => packetLine(line)),
    Buffer.from(FLUSH),
  ]);
  const { content } = await server.ask({
    service: 'git-upload-pack',
    step: 'exchange',
    protocol: VERSION,
    body: { content: once(body), length: body.length },
  });
  try {
    return await readCommits(content, asked.format);
  } finally {
    content.destroy();
  }
}

/** What the server's `fetch` can do; undefined when it speaks another version. */
async function fetchCapability(server: GitServer): Promise<string | undefined> {
  const { content } = await server.ask({
    service: 'git-upload-pack',
    step: 'advertise',
    protocol: VERSION,
  });
  const reader = createPacketReader(content);
  let isVersion = false;
  try {
    for (let count = 0; count < MAX_CAPABILITIES; count += 1) {
      const packet = await reader.next();
      if (packet === undefined) return undefined;
      const line = packet.type === 'data' ? packet.content.toString().trim() : '';
      isVersion ||= line === 'version 2';
      if (isVersion && /^fetch(?:=|$)/.test(line)) return line.slice('fetch='.length);
    }
    return undefined;
  } finally {
    content.destroy();
  }
}

async function readCommits(
  content: AsyncIterable<Buffer>,
  format: 'sha1' | 'sha256',
): Promise<CommitGraph | undefined> {
  const reader = createPacketReader(content);
  const commits = new PackCommits(format);
  let isPack = false;
  for (;;) {
    const packet = await reader.next();
    if (packet === undefined) return undefined;
    if (packet.type === 'end') {
      if (packet.length === 0) break;
    } else if (!isPack) {
      const line = packet.content.toString();
      if (line.startsWith('ERR ')) return undefined;
      isPack = line.trim() === 'packfile';
    } else if (packet.content[0] === DATA_BAND) {
      await commits.write(packet.content.subarray(1));
    }
  }
  await commits.end();
  return commits;
}

async function* once(body: Buffer): AsyncGenerator<Buffer> {
  yield body;
}
