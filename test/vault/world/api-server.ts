import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { startUpstream, type Upstream } from '../../support/egress-upstream.ts';
import { reflectAll } from './reflections.ts';

/** An API that wants a key in a header or in the body, and says again all that it was sent. */
export interface ApiServer extends Upstream {
  /** How often it was sent the key, by path. */
  readonly keyed: ReadonlyMap<string, number>;
}

/**
 * `/check` wants the key. `/reflect` and `/compressed` tell the request in every spelling, `/redirect`
 * leads to the query's `to`, with the key in its words; `/<status>` fails with the key in its body.
 *
 * @param names As in `UpstreamOptions`.
 */
export async function startApiServer(key: string, names: string): Promise<ApiServer> {
  const keyed = new Map<string, number>();
  const upstream = await startUpstream({
    names,
    host: '127.0.0.1',
    answer: (request, response) => void answer(request, response, key, keyed),
  });
  return { ...upstream, requests: upstream.requests, keyed };
}

interface Asked {
  readonly url: URL;
  readonly isKeyed: boolean;
  /** Head and body. */
  readonly sent: string;
  readonly key: string;
}

type Answer = (response: ServerResponse, asked: Asked) => void;

const ANSWERS: Readonly<Record<string, Answer>> = {
  '/check'(response, { isKeyed, sent }) {
    response.writeHead(isKeyed ? 200 : 401).end(isKeyed ? 'welcome\n' : `who is ${sent}?\n`);
  },
  '/reflect'(response, asked) {
    if (asked.isKeyed) response.setHeader('x-reflected', asked.key);
    response.end(reflectAll(toldOf(asked)) + asked.sent);
  },
  '/compressed'(response, asked) {
    response.setHeader('content-encoding', 'gzip');
    response.end(gzipSync(reflectAll(toldOf(asked))));
  },
  '/redirect'(response, asked) {
    const location = asked.url.searchParams.get('to') ?? '/';
    const shown = asked.isKeyed ? asked.key : 'nobody';
    const headers = { location, 'x-reflected': shown };
    response.writeHead(307, `for ${shown}`, headers).end(reflectAll(toldOf(asked)));
  },
};

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  key: string,
  keyed: Map<string, number>,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://api');
  const sent = `${request.rawHeaders.join('\n')}\n${await text(request)}`;
  const forms = [key, JSON.stringify(key).slice(1, -1), encodeURIComponent(key)];
  const isKeyed = forms.some((form) => sent.includes(form)) || basicOf(request).includes(key);
  if (isKeyed) keyed.set(url.pathname, (keyed.get(url.pathname) ?? 0) + 1);
  const fail: Answer = (_, asked) => {
    response.writeHead(Number(url.pathname.slice(1)) || 404).end(reflectAll(toldOf(asked)));
  };
  (ANSWERS[url.pathname] ?? fail)(response, { url, isKeyed, sent, key });
}

function toldOf({ isKeyed, key, sent }: Asked): string {
  return isKeyed ? key : sent;
}

function basicOf({ headers }: IncomingMessage): string {
  const [, encoded = ''] = /^Basic (.*)$/.exec(headers.authorization ?? '') ?? [];
  return Buffer.from(encoded, 'base64').toString();
}
