import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { createGunzip, type Gunzip } from 'node:zlib';
import { addressOf } from './address-of.ts';
import type { CredentialUse } from './credential-use.ts';
import type { DialOptions } from './dial.ts';
import type { GatewayService } from './gateway-service.ts';
import { readGitCredential } from './git-credential.ts';
import { push } from './git-push.ts';
import { reportRefusedFetch } from './git-report.ts';
import { GIT_ROOT, type GitRoute, parseGitRoute } from './git-route.ts';
import { createGitServer, type GitAnswer, type GitServer } from './git-server.ts';
import type { HandToken, TokenRepository } from './hand-token.ts';
import { asRefusal } from './last-words.ts';
import { Refusal } from './refusal.ts';

export interface GitServiceOptions {
  readonly credentials: Pick<CredentialUse, 'secretFor'>;
  readonly dialling: DialOptions;
  /** Silence after which a server is given up. */
  readonly idleMs: number;
  /** Told of each request that is refused in Git's own terms, which are no failure of HTTP. */
  onRefused(refusal: Refusal, asked: { readonly token: HandToken; readonly from: string }): void;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly route: GitRoute;
  readonly repository: TokenRepository;
  /** @throws {Refusal} */
  open(): Promise<GitServer>;
  onRefused(refusal: Refusal): void;
}

/**
 * The way of hands to their repositories: Git's smart HTTP, passed on with a credential that the hand
 * does not have. It keeps nothing, and holds of what goes by no more than the commits of a push.
 */
export function createGitService(options: GitServiceOptions): GatewayService {
  return {
    path: GIT_ROOT,
    async serve(request, response, { token, path }) {
      const route = parseGitRoute(request.method, path);
      const repository = repositoryOf(token, route);
      response.on('error', () => {});
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      if (request.headers.expect !== undefined) response.writeContinue();
      await carry({
        request,
        response,
        route,
        repository,
        async open() {
          const credential = await readGitCredential(options.credentials, token, repository);
          return createGitServer({ ...credential, ...options, signal: gone.signal });
        },
        onRefused: (refusal) => options.onRefused(refusal, { token, from: addressOf(request) }),
      });
    },
  };
}

async function carry(exchange: Exchange): Promise<void> {
  const { response, route } = exchange;
  if (route.step === 'advertise') {
    await advertise(exchange);
    return;
  }
  try {
    if (route.service === 'git-upload-pack') await fetch(exchange);
    else await receive(exchange);
  } catch (error) {
    const refusal = asRefusal(error);
    if (response.headersSent || route.service === 'git-receive-pack') throw refusal;
    await refuse(exchange, refusal, reportRefusedFetch(refusal.message));
  }
}

async function advertise({ request, response, route, repository, open }: Exchange): Promise<void> {
  if (route.service === 'git-receive-pack') checkMayPush(repository);
  const server = await open();
  await reply(response, route, await server.ask({ ...route, protocol: protocolOf(request) }));
}

async function fetch({ request, response, route, open }: Exchange): Promise<void> {
  const encoding = isGzip(request) ? ('gzip' as const) : undefined;
  const body = { content: readable(request), length: lengthOf(request), encoding };
  const server = await open();
  await reply(response, route, await server.ask({ ...route, protocol: protocolOf(request), body }));
}

async function receive(exchange: Exchange): Promise<void> {
  const { request, response, route, repository, open } = exchange;
  // What is pushed is read, so it goes on unpacked.
  const decoded = isGzip(request) ? request.pipe(createGunzip()) : request;
  const source = { content: readable(decoded), protocol: protocolOf(request) };
  const outcome = await push(source, repository.push, open);
  if (outcome.type === 'answered') await reply(response, route, outcome.answer);
  else await refuse(exchange, outcome.refusal, outcome.report);
}

/** Says no as Git does. What the client still sends is taken first: only then it listens. */
async function refuse(
  { request, response, route, onRefused }: Exchange,
  refusal: Refusal,
  report: Buffer,
): Promise<void> {
  onRefused(refusal);
  await drain(request);
  response.writeHead(200, { ...headersOf(route), 'Content-Length': report.length }).end(report);
}

function checkMayPush({ name, push: { branches, tags } }: TokenRepository): void {
  if (branches.length > 0 || tags.length > 0) return;
  throw new Refusal({
    status: 403,
    reason: 'ref-not-allowed',
    words: `this session may not push to repository ${name}: its resource names no branches`,
  });
}

function repositoryOf({ repositories }: HandToken, { repository }: GitRoute): TokenRepository {
  const found = repositories.find(({ name }) => name === repository);
  if (found !== undefined) return found;
  throw new Refusal({
    status: 403,
    reason: 'repository-not-allowed',
    words: `repository ${repository} is none of this hand's`,
  });
}

async function reply(
  response: ServerResponse,
  route: GitRoute,
  { content, length }: GitAnswer,
): Promise<void> {
  const framing = length === undefined ? {} : { 'Content-Length': length };
  response.writeHead(200, { ...headersOf(route), ...framing });
  response.flushHeaders();
  // One that is cut off is seen to be.
  await pipeline(content, response).catch(() => {});
}

function headersOf({ service, step }: GitRoute): Readonly<Record<string, string>> {
  const kind = step === 'advertise' ? 'advertisement' : 'result';
  return { 'Content-Type': `application/x-${service}-${kind}`, 'Cache-Control': 'no-cache' };
}

function isGzip({ headers }: IncomingMessage): boolean {
  const coding = headers['content-encoding'] ?? 'identity';
  if (coding === 'identity') return false;
  if (/^(?:x-)?gzip$/i.test(coding)) return true;
  const words = 'a body may be encoded by gzip only';
  throw new Refusal({ status: 415, reason: 'malformed', words });
}

/** To be read in part: what is left must still be taken from the client. */
function readable(stream: IncomingMessage | Gunzip): AsyncIterable<Buffer> {
  return { [Symbol.asyncIterator]: () => stream.iterator({ destroyOnReturn: false }) };
}

function lengthOf({ headers }: IncomingMessage): number | undefined {
  const { 'content-length': length } = headers;
  return length === undefined ? undefined : Number(length);
}

function protocolOf({ headers }: IncomingMessage): string | undefined {
  const { 'git-protocol': protocol } = headers;
  return typeof protocol === 'string' ? protocol : undefined;
}

async function drain(request: IncomingMessage): Promise<void> {
  if (request.readableEnded || request.destroyed) return;
  const ended = new Promise<void>((resolve) => {
    request.once('end', resolve);
    request.once('close', resolve);
  });
  request.resume();
  await ended;
}
