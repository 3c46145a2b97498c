import { Duplex, PassThrough } from 'node:stream';
import type { HandCluster } from '../../k8s/hand-cluster.ts';
import { type Fault, spoil } from '../support/spoil-bytes.ts';

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

/** A cluster whose streams each meet a fault, by turns on the way in and out. */
export function spoilStreams(
  faultOf: (stream: number) => Fault,
): ((cluster: HandCluster) => HandCluster) & { readonly streams: () => number } {
  let streams = 0;
  const through = (cluster: HandCluster): HandCluster => ({
    ...cluster,
    async attach(pod) {
      streams += 1;
      return withFault(await cluster.attach(pod), faultOf(streams), streams % 2 === 0);
    },
  });
  return Object.assign(through, { streams: () => streams });
}

function withFault(inner: Duplex, fault: Fault, isInward: boolean): Duplex {
  const cut = (): void => void outer.destroy();
  const written = new PassThrough();
  (isInward ? spoil(written, fault, cut) : written).pipe(inner);
  const outer = Duplex.from({
    writable: written,
    readable: isInward ? inner : spoil(inner, fault, cut),
  });
  outer.on('error', () => {});
  inner.on('error', () => {});
  outer.on('close', () => inner.destroy());
  inner.on('close', cut);
  return outer;
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
