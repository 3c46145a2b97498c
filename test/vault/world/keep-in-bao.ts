import { type Bao, kvVariables, writePolicy } from '../../support/bao.ts';

/** A vault at a prefix of its own, and a token of this id that is good for nothing else. */
export async function keepInBao(bao: Bao, id: string): Promise<Readonly<Record<string, string>>> {
  const variables = kvVariables(bao);
  const policy = await writePolicy(bao, variables);
  await bao.ask('POST', 'auth/token/create', { id, policies: [policy], ttl: '1h' });
  return { ...variables, VAULT_TOKEN: id };
}
