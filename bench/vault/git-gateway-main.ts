import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { toBlockList } from '../../dial/public-addresses.ts';
import { createGitService } from '../../egress/git-service.ts';
import { readKeys } from '../../egress/keys.ts';
import { createEgressProxy } from '../../egress/proxy.ts';
import { SecretValue } from '../../vault/secret-value.ts';

// The gateway with one credential and nothing to ask, in a process of its own, so that its memory can
// be told: node git-gateway-main.ts KEYS URL USERNAME SECRET.

const [keysPath = '', url = '', username = '', secret = ''] = process.argv.slice(2);
const dialling = {
  resolve: async () => [],
  privateNetworks: toBlockList(['127.0.0.0/8']),
  trusted: [],
  connectMs: 5_000,
};
const idleMs = 60_000;
const proxy = createEgressProxy({
  ...dialling,
  readKeys: () => readKeys(keysPath),
  log: (line) => console.log(JSON.stringify(line)),
  substitution: {
    concerns: () => false,
    prepare: () => {
      throw new Error('there are no variables');
    },
    rewritingFor: async () => undefined,
  },
  services: [
    createGitService({
      credentials: {
        secretFor: async () => ({ type: 'git', url, username, token: new SecretValue(secret) }),
      },
      dialling,
      idleMs,
      onRefused: ({ message }) => console.log(`refused ${message}`),
    }),
  ],
  mostPerHand: 64,
  idleMs,
  headersMs: 5_000,
});
proxy.server.listen(0, '127.0.0.1');
await once(proxy.server, 'listening');
console.log(`listening ${(proxy.server.address() as AddressInfo).port}`);
