import { Refusal } from './refusal.ts';

export type GitService = 'git-upload-pack' | 'git-receive-pack';

/** What of smart HTTP a request asks for (gitprotocol-http). */
export interface GitRoute {
  readonly repository: string;
  readonly service: GitService;
  readonly step: 'advertise' | 'exchange';
}

/** Beginning of the paths of all repositories. */
export const GIT_ROOT = '/git/';

const PATH = /^\/git\/(?<repository>[a-zA-Z0-9._-]{1,128})\.git\/(?<rest>[\x21-\x7e]{1,100})$/;
const ADVERTISE = /^info\/refs\?service=(?<service>git-(?:upload|receive)-pack)$/;
const EXCHANGE = /^(?<service>git-(?:upload|receive)-pack)$/;

/** @throws {Refusal} */
export function parseGitRoute(method: string | undefined, path: string): GitRoute {
  const { repository, rest = '' } = PATH.exec(path)?.groups ?? {};
  if (repository === undefined) throw notFound('this is the address of no repository');
  const step = method === 'POST' ? 'exchange' : 'advertise';
  const { service } = (step === 'exchange' ? EXCHANGE : ADVERTISE).exec(rest)?.groups ?? {};
  if (service !== undefined && /^(?:GET|POST)$/.test(method ?? '')) {
    return { repository, service: service as GitService, step };
  }
  if (rest.startsWith('info/lfs')) throw notFound('large file storage (LFS) is not passed on');
  throw notFound('only the smart protocol of Git is passed on');
}

function notFound(words: string): Refusal {
  return new Refusal({ status: 404, reason: 'malformed', words });
}
