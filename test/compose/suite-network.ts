import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A network beside the stack's, where names lead containers to servers of this process. */
export interface SuiteNetwork {
  readonly subnet: string;
  join(containers: readonly { readonly id: string }[]): Promise<void>;
  close(): Promise<void>;
}

export interface SuiteNetworkOptions {
  readonly name: string;
  readonly hosts: readonly string[];
  /** Of servers on the loopback interface: each host has all of them. */
  readonly ports: readonly number[];
  /** One that has Node, and is there. */
  readonly image: string;
}

const RELAY = `
const { connect, createServer } = require('node:net');
const [host, ...ports] = process.argv.slice(1);
for (const port of ports) {
  createServer((client) => {
    const server = connect(port, host);
    client.on('error', () => server.destroy()).pipe(server);
    server.on('error', () => client.destroy()).pipe(client);
  }).listen(port);
}`;

/** Names of a network are those of its containers: one of them carries all that comes on to us. */
export async function createSuiteNetwork(options: SuiteNetworkOptions): Promise<SuiteNetwork> {
  const { name, hosts, ports, image } = options;
  const relay = `${name}-relay`;
  await docker('network', 'create', name);
  const format = '{{(index .IPAM.Config 0).Subnet}} {{(index .IPAM.Config 0).Gateway}}';
  const found = await docker('network', 'inspect', '--format', format, name);
  const [subnet = '', address = ''] = found.split(' ');
  const servers = await Promise.all(ports.map((port) => carry(port, address)));
  const aliases = hosts.flatMap((host) => ['--network-alias', host]);
  const program = ['node', '-e', RELAY, address, ...ports.map(String)];
  await docker(
    ...['run', '--detach', '--rm', '--init', '--name', relay, '--network', name],
    ...[...aliases, image, ...program],
  );
  return {
    subnet,
    async join(containers) {
      for (const { id } of containers) await docker('network', 'connect', name, id);
    },
    async close() {
      await docker('rm', '--force', relay);
      for (const server of servers) server.close();
      await docker('network', 'rm', name);
    },
  };
}

/** From an address of this machine to its loopback interface. */
async function carry(port: number, address: string): Promise<Server> {
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    client.on('error', () => upstream.destroy()).pipe(upstream);
    upstream.on('error', () => client.destroy()).pipe(client);
  });
  server.listen(port, address);
  await once(server, 'listening');
  return server;
}

async function docker(...words: readonly string[]): Promise<string> {
  return (await run('docker', words)).stdout.trim();
}
