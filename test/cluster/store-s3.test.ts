import { Readable } from 'node:stream';
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { openStore } from '../../store/open-store.ts';
import { describeKept } from '../support/kept-conformance.ts';
import { describeStore } from '../support/store-conformance.ts';
import { openTestBucket, type TestBucket, withS3 } from '../support/test-bucket.ts';

withS3('a store in a bucket', () => {
  describeKept('workspaces in a bucket', async () => {
    const bucket = await openTestBucket();
    return { store: await openStore(bucket.url), close: () => bucket.remove() };
  });

  describeStore('a store in a bucket', async () => {
    const bucket = await openTestBucket();
    return { store: await openStore(bucket.url), close: () => bucket.remove() };
  });

  describe('a store in a bucket', () => {
    let bucket: TestBucket;
    beforeAll(async () => {
      bucket = await openTestBucket();
    });
    beforeEach(() => {
      for (const [name, value] of Object.entries(bucket.variables)) vi.stubEnv(name, value);
    });
    afterAll(async () => {
      for (const [name, value] of Object.entries(bucket.variables)) vi.stubEnv(name, value);
      await bucket.remove();
      vi.unstubAllEnvs();
    });
    const bucketName = (): string => URL.parse(bucket.url)?.host ?? '';

    test('a large put that fails → its parts are taken back', async () => {
      const store = await openStore(bucket.url);
      let left = 40;
      const source = new Readable({
        read() {
          if (left-- > 0) this.push(Buffer.alloc(1024 * 1024));
          else this.destroy(new Error('broke'));
        },
      });
      await expect(store.put('large', source)).rejects.toThrow('broke');
      const client = new S3Client({ forcePathStyle: true });
      const command = new ListMultipartUploadsCommand({ Bucket: bucketName() });
      const { Uploads = [] } = await client.send(command);
      expect(Uploads).toEqual([]);
      client.destroy();
    });

    test('another prefix of the bucket → is not seen, and not deleted', async () => {
      const one = await openStore(`s3://${bucketName()}/one`);
      const other = await openStore(`s3://${bucketName()}/one-more`);
      await one.put('a/b', Readable.from(['one']));
      await other.put('a/b', Readable.from(['other']));
      expect(await Array.fromAsync(one.list(''))).toEqual([{ key: 'a/b', bytes: 3 }]);
      await one.deleteAll('a/');
      expect(await other.head('a/b')).toEqual({ key: 'a/b', bytes: 5 });
      await other.delete('a/b');
    });

    test.each([
      [
        'no such bucket',
        {},
        's3://drover-no-such-bucket',
        /refused \(NoSuchBucket: .*make the bucket/,
      ],
      ['an unknown key', { AWS_ACCESS_KEY_ID: 'nobody' }, undefined, /correct AWS_ACCESS_KEY_ID/],
      [
        'a wrong secret',
        { AWS_SECRET_ACCESS_KEY: 'wrong' },
        undefined,
        /correct AWS_SECRET_ACCESS_KEY/,
      ],
      [
        'no region',
        { AWS_REGION: undefined },
        undefined,
        /no region is configured.*set AWS_REGION/,
      ],
    ])('%s → what to correct', async (_what, change, url, words) => {
      for (const [name, value] of Object.entries(change)) vi.stubEnv(name, value);
      const store = await openStore(url ?? bucket.url);
      for (const ask of [() => store.verify(), () => store.put('a', Readable.from(['x']))]) {
        await expect(ask()).rejects.toMatchObject({ name: 'StoreError', problem: 'refused' });
      }
      await expect(store.verify()).rejects.toThrow(words);
      await expect(store.verify()).rejects.not.toThrow('drover-secret');
    });

    test('no server at its endpoint → unreachable, naming it', async () => {
      vi.stubEnv('AWS_ENDPOINT_URL_S3', 'http://127.0.0.1:1');
      const store = await openStore(bucket.url);
      const source = new Readable({ read() {} });
      source.push('x');
      source.push(null);
      const asks = [() => store.verify(), () => store.get('a'), () => store.put('a', source)];
      for (const ask of asks) {
        await expect(ask()).rejects.toMatchObject({
          problem: 'unreachable',
          message: expect.stringMatching(/cannot be reached \(.*ECONNREFUSED.*AWS_ENDPOINT_URL_S3/),
        });
      }
    });
  });
});
