import { z } from 'zod';
import type { VaultRecords } from '../records.ts';
import type { KvSettings } from '../settings.ts';
import { createKvClient, type KvClient, refusedByKv } from './kv-client.ts';

const ReadAnswer = z.object({
  data: z.object({
    /** Null when the version was deleted. */
    data: z.record(z.string(), z.unknown()).nullable(),
    metadata: z.object({ version: z.number() }),
  }),
});
const WriteAnswer = z.object({ data: z.object({ version: z.number() }) });
const ListAnswer = z.object({ data: z.object({ keys: z.array(z.string()) }) });
const VersionsAnswer = z.object({
  data: z.object({ versions: z.record(z.string(), z.object({ destroyed: z.boolean() })) }),
});

type Found = z.infer<typeof ReadAnswer>['data'];

/** Records as secrets of a KV version 2 mount, whose check-and-set is ours. */
export function createKvRecords(settings: KvSettings): VaultRecords {
  const client = createKvClient(settings);
  return {
    async read(name) {
      const found = await readRaw(settings, client, name);
      if (found === undefined || found.data === null) return undefined;
      return { body: JSON.stringify(found.data), version: found.metadata.version };
    },

    async write(name, body, replaces) {
      const version = await put(settings, client, { name, body, cas: replaces });
      if (version !== undefined || replaces !== 0) return version;
      // What was deleted counts on.
      const found = await readRaw(settings, client, name);
      return found?.data === null
        ? put(settings, client, { name, body, cas: found.metadata.version })
        : undefined;
    },

    async list(folder) {
      const path = client.pathOf('metadata', folder);
      const answer = await client.ask({ method: 'GET', path: `${path}?list=true` });
      if (answer.status === 404) return [];
      const parsed = ListAnswer.safeParse(answer.body);
      if (!parsed.success) throw refusedByKv(settings, answer, path, 'list');
      return parsed.data.data.keys.filter((key) => !key.endsWith('/')).sort();
    },

    async forgetBefore(name, version) {
      const path = client.pathOf('metadata', name);
      const answer = await client.ask({ method: 'GET', path });
      const parsed = VersionsAnswer.safeParse(answer.body);
      if (!parsed.success) throw refusedByKv(settings, answer, path, 'read');
      const versions = Object.entries(parsed.data.data.versions)
        .filter(([earlier, { destroyed }]) => Number(earlier) < version && !destroyed)
        .map(([earlier]) => Number(earlier));
      if (versions.length === 0) return;
      const destroy = client.pathOf('destroy', name);
      const done = await client.ask({ method: 'POST', path: destroy, body: { versions } });
      if (done.status >= 300) throw refusedByKv(settings, done, destroy, 'update');
    },

    close: () => client.close(),
  };
}

async function readRaw(
  settings: KvSettings,
  client: KvClient,
  name: string,
): Promise<Found | undefined> {
  const path = client.pathOf('data', name);
  const answer = await client.ask({ method: 'GET', path });
  const parsed = ReadAnswer.safeParse(answer.body);
  // One that was deleted is 404 with a body.
  if (parsed.success) return parsed.data.data;
  if (answer.status === 404) return undefined;
  throw refusedByKv(settings, answer, path, 'read');
}

async function put(
  settings: KvSettings,
  client: KvClient,
  { name, body, cas }: { readonly name: string; readonly body: string; readonly cas: number },
): Promise<number | undefined> {
  const path = client.pathOf('data', name);
  const written = { options: { cas }, data: JSON.parse(body) };
  const answer = await client.ask({ method: 'POST', path, body: written });
  const parsed = WriteAnswer.safeParse(answer.body);
  if (parsed.success) return parsed.data.data.version;
  const isTaken = answer.errors.some((error) => /check-and-set/.test(error));
  if (answer.status === 400 && isTaken) return undefined;
  throw refusedByKv(settings, answer, path, 'create" and "update');
}
