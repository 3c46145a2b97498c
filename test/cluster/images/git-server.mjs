// Runs in a pod of the sandbox image, behind `bench/vault/git-backend.ts`: serves /tmp/repository.git
// by Git's own CGI, and answers GET /clones with the number of clones begun. A path under /slow/ waits
// for three seconds.
import { execFileSync } from 'node:child_process';
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
  await answerByGit(request, response, {
    root: '/tmp',
    user: null,
    path: url.pathname.replace(/^\/slow/, ''),
  });
}).listen(8080);
