import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { parse } from 'yaml';

/** One recorded response of the Messages API, whatever the file format it was kept in. */
export type RecordedResponse = { readonly file: string; readonly index: number } & (
  | { readonly kind: 'stream'; readonly sse: string }
  | { readonly kind: 'message'; readonly message: Json & { content: Json[] } }
  | {
      readonly kind: 'error';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: unknown;
    }
  /** Not an answer of a model: a count of tokens. */
  | { readonly kind: 'count' }
);

export type Json = Record<string, unknown>;

/** A response as its file holds it. */
interface Raw {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export function recordedFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'README.md')
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

export function recordedResponses(folder: string, file: string): RecordedResponse[] {
  return rawResponses(file, readFileSync(join(folder, file), 'utf8')).map((raw, index) => ({
    file,
    index,
    ...classify(raw),
  }));
}

type Classified = RecordedResponse extends infer Each
  ? Each extends RecordedResponse
    ? Omit<Each, 'file' | 'index'>
    : never
  : never;

function classify({ status, headers, body }: Raw): Classified {
  if (status >= 400) return { kind: 'error', status, headers, body: asJson(body) };
  if (typeof body === 'string' && /^event: /m.test(body)) return { kind: 'stream', sse: body };
  const message = asJson(body) as Json;
  if (Array.isArray(message['content'])) {
    return { kind: 'message', message: { ...message, content: message['content'] as Json[] } };
  }
  if (typeof message['input_tokens'] === 'number') return { kind: 'count' };
  throw new Error(`no response of a known kind: ${JSON.stringify(message).slice(0, 200)}`);
}

function asJson(body: unknown): unknown {
  return typeof body === 'string' ? JSON.parse(body) : body;
}

function rawResponses(file: string, text: string): Raw[] {
  if (file.endsWith('.chunks.txt')) return chunked(text);
  if (file.endsWith('.json')) return [wholeJson(JSON.parse(text))];
  const document = parse(text, { customTags: [rubyBinary, binary] }) as Json;
  if (Array.isArray(document['messages'])) return transcript(document['messages'] as Json[]);
  const interactions = (document['interactions'] ?? document['http_interactions']) as Json[];
  return interactions.map(({ response }) => interaction(response as Json));
}

const rubyBinary = { tag: '!binary', resolve: (text: string) => Buffer.from(text, 'base64') };
const binary = { ...rubyBinary, tag: 'tag:yaml.org,2002:binary' };

/** One event's JSON a line; a file may hold several responses one after another. */
function chunked(text: string): Raw[] {
  const responses: string[] = [];
  for (const line of text.split('\n').filter((each) => each.trim() !== '')) {
    const { type } = JSON.parse(line) as { type: string };
    if (type === 'message_start') responses.push('');
    responses.push(`${responses.pop() ?? ''}event: ${type}\ndata: ${line}\n\n`);
  }
  return responses.map((body) => ({ status: 200, headers: {}, body }));
}

function wholeJson(value: Json): Raw {
  if (typeof value['status'] !== 'number') return { status: 200, headers: {}, body: value };
  return { status: value['status'], headers: {}, body: value['body'] };
}

/** Messages that the Agent SDK received from its command line, which sends one per content block. */
function transcript(messages: readonly Json[]): Raw[] {
  const answers = new Map<unknown, Json>();
  for (const { type, message } of messages) {
    if (type !== 'assistant') continue;
    const part = message as Json & { content: Json[] };
    const before = answers.get(part['id']);
    const content = [...((before?.['content'] as Json[]) ?? []), ...part.content];
    answers.set(part['id'], { ...part, content });
  }
  return [...answers.values()].map((body) => ({ status: 200, headers: {}, body }));
}

function interaction(response: Json): Raw {
  const status = response['status'] as { code: number };
  const body = response['body'] as Json | undefined;
  return {
    status: status.code,
    headers: plainHeaders(response['headers'] as Readonly<Record<string, unknown>>),
    body: decoded(response['parsed_body'] ?? body?.['parsed_body'] ?? body?.['string']),
  };
}

function decoded(body: unknown): unknown {
  if (!Buffer.isBuffer(body)) return body;
  const isGzip = body[0] === 0x1f && body[1] === 0x8b;
  return (isGzip ? gunzipSync(body) : body).toString('utf8');
}

/** Without those that describe the recorded transfer. */
function plainHeaders(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  const ofTransfer = /^(content-(encoding|length)|transfer-encoding|connection)$/i;
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => !ofTransfer.test(name))
      .map(([name, value]) => [name, Array.isArray(value) ? String(value[0]) : String(value)]),
  );
}
