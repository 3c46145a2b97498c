import { mkdir, rm, stat } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';

/** What the first launcher on a state folder tells the later ones. */
export const LauncherInfo = z.object({
  pid: z.number(),
  /** Null while it is still starting. */
  address: z.string().nullable(),
  namespace: z.string(),
  uiUrl: z.string().nullable(),
  /** A server that somebody else runs. */
  external: z.boolean(),
  rehearsal: z.boolean(),
  /** File of the key ring that its worker has. */
  payloadKeys: z.string().nullable(),
});
export type LauncherInfo = z.infer<typeof LauncherInfo>;

export type Claim =
  | { readonly first: true; release(): Promise<void> }
  | { readonly first: false; readonly info: LauncherInfo };

const TAKEOVER_STALE_MS = 10_000;
const ANSWER_TIMEOUT_MS = 2_000;
const CLAIM_TIMEOUT_MS = 20_000;

/**
 * One launcher runs server and worker of a state folder. It listens on a socket there, which
 * vanishes with its process whatever ends it, so a claim never outlives its holder.
 */
export async function claimLauncher(path: string, describe: () => LauncherInfo): Promise<Claim> {
  const deadline = Date.now() + CLAIM_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const server = await listen(path, describe);
    if (server !== undefined) return { first: true, release: () => close(server) };
    const info = await askLauncher(path);
    if (info !== undefined) return { first: false, info };
    await removeAbandoned(path);
  }
  throw new Error(`another launcher holds ${path} but does not answer; end it and start again`);
}

/** What the launcher that holds the socket says now; undefined when none does. */
export function askLauncher(path: string): Promise<LauncherInfo | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const socket = createConnection(path);
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy());
    socket.setEncoding('utf8');
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      const parsed = LauncherInfo.safeParse(parseJson(text));
      resolve(parsed.success ? parsed.data : undefined);
    });
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function listen(path: string, describe: () => LauncherInfo): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end(JSON.stringify(describe()));
    });
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(path, () => resolve(server));
  });
}

/** Removes a socket whose holder died. One launcher at a time, or it could remove a fresh one. */
export async function removeAbandoned(path: string): Promise<void> {
  const lock = `${path}.takeover`;
  try {
    await mkdir(lock);
  } catch {
    const made = await stat(lock).catch(() => undefined);
    if (made !== undefined && Date.now() - made.mtimeMs > TAKEOVER_STALE_MS) {
      await rm(lock, { recursive: true, force: true });
    }
    await delay(100);
    return;
  }
  try {
    if ((await askLauncher(path)) === undefined) await rm(path, { force: true });
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
