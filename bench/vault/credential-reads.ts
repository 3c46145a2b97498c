import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openVaultKeeper } from '../../vault/keeper.ts';
import { openRecords } from '../../vault/open-records.ts';
import { openVault } from '../../vault/open-vault.ts';
import { readVaultSettings, type VaultSettings } from '../../vault/settings.ts';
import { credentialName } from '../../vault/stored.ts';
import { distributionOf, rounded } from '../measure.ts';
import { progress, type Report } from '../report.ts';

const CREDENTIALS = 50;
const READ_MS = 2_000;
/** At the same time, as calls of sessions come. */
const READERS = 16;
const ROTATIONS = 4;
/** What is kept for five seconds, and the read after it. */
const MAX_SEEN_MS = 6_000;
/** A worker that runs flat out makes some hundred calls a second. */
const MIN_READS_PER_SECOND = 10_000;

const REFERENCES = Array.from({ length: CREDENTIALS }, (_, index) => ({
  vault_id: 'bench',
  credential_id: `c${index}`,
}));

/** A folder always, a KV server where VAULT_ADDR and VAULT_TOKEN name one. */
export async function measureCredentialReads(): Promise<Omit<Report, 'bench'>> {
  const folder = await mkdtemp(join(tmpdir(), 'drover-bench-vault-'));
  try {
    const parts = [await measure('folder', { DROVER_VAULT: pathToFileURL(folder).href })];
    const { VAULT_ADDR, VAULT_TOKEN } = process.env;
    if (VAULT_ADDR !== undefined && VAULT_TOKEN !== undefined) {
      const DROVER_VAULT = `kv://secret/bench-${randomUUID()}`;
      parts.push(await measure('kv', { DROVER_VAULT, VAULT_ADDR, VAULT_TOKEN }));
    }
    return {
      figures: Object.assign({}, ...parts.map(({ figures }) => figures)),
      targets: parts.flatMap(({ targets }) => targets),
      baseline: Object.assign({}, ...parts.map(({ baseline }) => baseline)),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measure(
  name: string,
  variables: Readonly<Record<string, string>>,
): Promise<Omit<Report, 'bench'>> {
  progress(`credentials in a ${name}`);
  const settings = readVaultSettings(variables, tmpdir());
  await fill(settings);
  const vault = openVault(settings);
  const records = openRecords(settings);
  const cached = await readsPerSecond((index) => vault.secret(pick(index)));
  const uncached = await readsPerSecond((index) => records.read(credentialName(pick(index))));
  const seenMs = await rotationSeenMs(settings);
  await vault.close();
  records.close();
  return {
    figures: {
      [`credential_reads_per_second_${name}`]: cached,
      [`rotation_seen_ms_${name}`]: distributionOf(seenMs),
    },
    targets: [
      {
        name: `credential reads per second, ${name}, cached`,
        value: cached,
        limit: MIN_READS_PER_SECOND,
        is: 'at_least',
      },
      {
        name: `ms until a rotation is seen, ${name}, longest`,
        value: rounded(Math.max(...seenMs)),
        limit: MAX_SEEN_MS,
      },
    ],
    baseline: { [`credential_reads_per_second_${name}_uncached`]: uncached },
  };
}

async function fill(settings: VaultSettings): Promise<void> {
  const keeper = openVaultKeeper(settings);
  await keeper.createVault({ id: 'bench' });
  for (const { vault_id, credential_id: id } of REFERENCES) {
    const auth = { type: 'git', url: `https://git.example/${id}/` } as const;
    await keeper.createCredential({ vault_id, id, auth }, 'a-secret-of-the-bench');
  }
  keeper.close();
}

async function readsPerSecond(read: (index: number) => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  let reads = 0;
  const reader = async () => {
    while (performance.now() - startMs < READ_MS) {
      reads += 1;
      await read(reads);
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
  return Math.round(reads / ((performance.now() - startMs) / 1_000));
}

/** By a reader that never stops, as another process sees it. */
async function rotationSeenMs(settings: VaultSettings): Promise<number[]> {
  const samples: number[] = [];
  const keeper = openVaultKeeper(settings);
  const vault = openVault(settings);
  const reference = pick(0);
  for (let rotation = 0; rotation < ROTATIONS; rotation += 1) {
    const value = `another-secret-${rotation}`;
    await vault.secret(reference);
    await keeper.rotateCredential(reference, value);
    const startMs = performance.now();
    for (;;) {
      const secret = await vault.secret(reference);
      if (secret.type === 'git' && secret.token.reveal() === value) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    samples.push(performance.now() - startMs);
  }
  keeper.close();
  await vault.close();
  return samples;
}

function pick(index: number) {
  const reference = REFERENCES[index % REFERENCES.length];
  if (reference === undefined) throw new RangeError('there are no credentials');
  return reference;
}
