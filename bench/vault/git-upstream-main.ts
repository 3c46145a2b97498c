import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerByGit } from './git-backend.ts';

// A Git server of a folder, in a process of its own: node git-upstream-main.ts FOLDER AUTHORIZATION.

const [root = '', authorization = ''] = process.argv.slice(2);
const server = createServer((request, response) => {
  if (request.headers.authorization !== authorization) {
    request.resume();
    response.writeHead(401).end();
    return;
  }
  answerByGit(request, response, { root, user: 'bench' }).catch(() => response.destroy());
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
console.log(`listening ${(server.address() as AddressInfo).port}`);
