import { Duplex } from 'node:stream';
import type { HandCluster } from '../../k8s/hand-cluster.ts';

/** A cluster whose streams are cut after some bytes, counted in both directions. */
export function cutStreams(
  bytesOf: (stream: number) => number,
): ((cluster: HandCluster) => HandCluster) & { readonly cuts: () => number } {
  let streams = 0;
  let cuts = 0;
  const through = (cluster: HandCluster): HandCluster => ({
    ...cluster,
    async attach(pod) {
      streams += 1;
      return cutAfter(await cluster.attach(pod), bytesOf(streams), () => {
        cuts += 1;
      });
    },
  });
  return Object.assign(through, { cuts: () => cuts });
}

function cutAfter(inner: Duplex, bytes: number, onCut: () => void): Duplex {
  let left = bytes;
  /** What may still pass of a chunk. */
  const take = (chunk: Buffer): Buffer => {
    const part = chunk.subarray(0, Math.max(0, left));
    left -= chunk.length;
    return part;
  };
  const cut = (): void => {
    if (outer.destroyed) return;
    onCut();
    outer.destroy();
  };
  const outer = new Duplex({
    allowHalfOpen: false,
    read() {},
    write(chunk: Buffer, _encoding, done) {
      inner.write(take(chunk), () => {
        if (left <= 0) cut();
        done();
      });
    },
    destroy(error, done) {
      inner.destroy();
      done(error);
    },
  });
  inner.on('data', (chunk: Buffer) => {
    outer.push(take(chunk));
    if (left <= 0) setImmediate(cut);
  });
  inner.on('error', () => {});
  inner.on('close', () => outer.destroy());
  return outer;
}
