// Runs in a pod of the sandbox image: serves /tmp/repository.git by Git's own CGI, and answers
// GET /clones with the number of clones begun. A path under /slow/ waits for three seconds.
import { execFileSync, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

const git = (...words) => execFileSync('git', ['-C', '/tmp/work', ...words]);
execFileSync('git', ['init', '--quiet', '--initial-branch', 'main', '/tmp/work']);
git('config', 'user.name', 'test');
git('config', 'user.email', 'test@test');
for (const [branch, message] of [
  ['main', 'first'],
  ['main', 'second'],
  ['feature/one', 'third'],
]) {
  if (branch !== 'main') git('checkout', '--quiet', '-b', branch);
  execFileSync('sh', ['-c', `echo ${message} > /tmp/work/file.txt`]);
  git('add', '.');
  git('commit', '--quiet', '--message', message);
}
git('checkout', '--quiet', 'main');
execFileSync('git', ['clone', '--quiet', '--bare', '/tmp/work', '/tmp/repository.git']);

let clones = 0;
createServer(async (request, response) => {
  const url = new URL(request.url ?? '/', 'http://server');
  if (url.pathname === '/clones') return response.end(`${clones}`);
  if (url.pathname === '/first') return response.end(git('rev-parse', 'main~1'));
  if (url.pathname.endsWith('/info/refs')) clones += 1;
  if (url.pathname.startsWith('/slow/')) await delay(3_000);
  const backend = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: '/tmp',
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: url.pathname.replace(/^\/slow/, ''),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      HTTP_GIT_PROTOCOL: request.headers['git-protocol'] ?? '',
    },
  });
  request.pipe(backend.stdin);
  const chunks = [];
  for await (const chunk of backend.stdout) chunks.push(chunk);
  const answer = Buffer.concat(chunks);
  const end = answer.indexOf('\r\n\r\n');
  for (const line of answer.subarray(0, end).toString().split('\r\n')) {
    const [name, value] = line.split(': ');
    if (name === 'Status') response.statusCode = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.end(answer.subarray(end + 4));
}).listen(8080);
