import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { serveCodec } from '../../codec/codec-server.ts';
import type { PayloadKey } from '../../codec/key-ring.ts';
import { createKeyRingFile, rotateKeyRingFile } from '../../codec/manage-key-ring.ts';
import { createReaderCodec } from '../../codec/payload-codec.ts';
import { InvalidInputError } from '../errors/invalid-input-error.ts';
import { openPayloadKeys } from '../open-payload-keys.ts';
import type { LocalContext, RegisterLocal } from './command-context.ts';
import { EXIT, wordsOf } from './failure.ts';

const PATH = 'default: what DROVER_PAYLOAD_KEYS names';
/** Long enough for every process, and for a mounted secret, to have read the new ring. */
const DEFAULT_ROTATION_MINUTES = 5;
/** Beside the development server's Web UI. */
const DEFAULT_PORT = 8234;
const UI_ORIGINS = ['http://localhost:8233', 'http://127.0.0.1:8233'];

/** `payload-keys` and `codec-server`: encryption of payloads. They ask no Temporal server. */
export function addCodecCommands(program: Command, register: RegisterLocal): void {
  const group = program
    .command('payload-keys')
    .description('the key ring that payloads are encrypted with');
  register(
    group.command('create [path]').description(`make a ring with one key (${PATH})`),
    async (context, [path]: [string?]) => {
      const file = pathOf(path);
      const key = await createKeyRingFile(file);
      context.result(shown(file, key), `${file}: encrypts with ${key.id}; keep a copy of it`);
      return EXIT.ok;
    },
  );
  register(
    group
      .command('rotate [path]')
      .description(`add a key, which soon encrypts; all decrypt (${PATH})`)
      .option(
        '--after <minutes>',
        'when it begins to: by then every process must have the new file',
        toMinutes,
        DEFAULT_ROTATION_MINUTES,
      ),
    async (context, [path]: [string?], { after }: { readonly after: number }) => {
      const file = pathOf(path);
      const key = await rotateKeyRingFile(file, after * 60_000);
      const words = `${file}: ${key.id} encrypts from ${key.encrypts_from} on; keep a copy of it`;
      context.result(shown(file, key), words);
      return EXIT.ok;
    },
  );
  register(
    program
      .command('codec-server')
      .description('decrypt for the Web UI and `temporal --codec-endpoint`, until Ctrl-C')
      .option('--port <port>', 'where it listens', toPort, DEFAULT_PORT)
      .option('--host <host>', 'anything but loopback needs a token', '127.0.0.1')
      .option('--origin <origin...>', 'address of the Web UI', UI_ORIGINS)
      .option('--token-file <file>', 'file of a token that everybody who asks must show'),
    runCodecServer,
  );
}

interface ServerOptions {
  readonly port: number;
  readonly host: string;
  readonly origin: readonly string[];
  readonly tokenFile?: string;
}

async function runCodecServer(
  context: LocalContext,
  _args: [],
  { port, host, origin, tokenFile }: ServerOptions,
): Promise<number> {
  const keys = await openPayloadKeys(pathOf(undefined), false);
  const token = tokenFile === undefined ? null : await readToken(tokenFile);
  if (token === null && !['127.0.0.1', '::1', 'localhost'].includes(host)) {
    throw new InvalidInputError(
      `--host ${host}: others could decrypt through it; give --token-file, or stay on 127.0.0.1`,
    );
  }
  const origins = origin.map(toOrigin);
  const codec = createReaderCodec(keys);
  const server = await serveCodec({ codec, host, port, origins, token }).catch((error: unknown) => {
    throw new InvalidInputError(`${host}:${port}: ${wordsOf(error)}; --port names another one`);
  });
  const url = server.url;
  context.result(
    { url },
    `codec server on ${url}, for pages of ${origins.join(', ')}\n` +
      `  Web UI:   the glasses icon → remote codec endpoint ${url}\n` +
      `  terminal: temporal workflow show --codec-endpoint ${url} --workflow-id …`,
  );
  await untilAborted(context.signal);
  await server.close();
  return EXIT.ok;
}

function pathOf(path: string | undefined): string {
  const { DROVER_PAYLOAD_KEYS: configured = '' } = process.env;
  const file = path ?? configured;
  if (file !== '') return file;
  throw new InvalidInputError('which key ring? Give its path, or set DROVER_PAYLOAD_KEYS to it');
}

/** What is shown of a key: nothing that decrypts. */
function shown(path: string, { id, created_at, encrypts_from }: PayloadKey) {
  return { path, key: { id, created_at, encrypts_from } };
}

async function readToken(path: string): Promise<string> {
  const token = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new InvalidInputError(`--token-file: ${path} cannot be read (${wordsOf(error)})`);
  });
  if (/^[\x21-\x7e]{16,}$/.test(token.trim())) return token.trim();
  throw new InvalidInputError(
    `--token-file: ${path} must hold one line of at least 16 ASCII characters without spaces`,
  );
}

function toOrigin(text: string): string {
  const origin = URL.parse(text)?.origin ?? 'null';
  if (origin !== 'null') return origin;
  throw new InvalidInputError(`--origin ${text}: give an address such as http://localhost:8233`);
}

function toMinutes(text: string): number {
  const minutes = Number(text);
  if (text.trim() !== '' && minutes >= 0 && minutes <= 7 * 24 * 60) return minutes;
  throw new InvalidArgumentError('give minutes, at most a week; 0 for at once.');
}

function toPort(text: string): number {
  const port = Number(text);
  if (text.trim() !== '' && Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError('give a port; 0 for any that is free.');
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
