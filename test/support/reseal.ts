import type { KeyRing } from '../../codec/key-ring.ts';
import { keyIdOf, seal, unseal } from '../../codec/seal.ts';

/** A history in JSON with `text` left out of what is encrypted in it. */
export function resealWithout(text: string, history: unknown, ring: KeyRing): unknown {
  return JSON.parse(JSON.stringify(history), (_name, value) => {
    const { metadata, data } = Object(value);
    if (typeof metadata?.encoding !== 'string' || typeof data !== 'string') return value;
    const payload = { metadata: mapValues(metadata, fromBase64), data: fromBase64(data) };
    const key = ring.find(keyIdOf(payload) ?? '');
    if (key === undefined) return value;
    const opened = unseal(payload, key);
    const cleaned = Buffer.from(opened.data ?? [])
      .toString()
      .replaceAll(text, '');
    const sealed = seal({ ...opened, data: Buffer.from(cleaned) }, key);
    return { metadata: mapValues(sealed.metadata ?? {}, toBase64), data: toBase64(sealed.data) };
  });
}

function mapValues<In, Out>(record: Record<string, In>, map: (value: In) => Out) {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

function fromBase64(text: string): Uint8Array {
  return Buffer.from(text, 'base64');
}

function toBase64(bytes: Uint8Array | null | undefined): string {
  return Buffer.from(bytes ?? []).toString('base64');
}
