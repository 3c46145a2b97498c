import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type PutObjectCommandInput,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { metered } from './metered.ts';
import { isMissing, toStoreError } from './s3-failure.ts';
import {
  checkFolder,
  checkKey,
  checkPrefix,
  type PutOptions,
  type Store,
  type Stored,
  type StoredBlob,
  StoreError,
} from './store.ts';

/** What one put holds in memory is this, twice. The service takes 10,000 parts. */
const PART_BYTES = 16 * 1024 * 1024;
const CONNECT_MS = 5_000;
const SILENCE_MS = 30_000;

export interface S3Place {
  /** As configured. */
  readonly url: string;
  readonly bucket: string;
  /** Empty, or ends in `/`. */
  readonly prefix: string;
}

/**
 * A bucket of any S3-compatible server. Region, credentials and endpoint come from the standard
 * variables and files of the AWS SDK (`AWS_ENDPOINT_URL_S3`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, …).
 */
export function createS3Store(place: S3Place): Store {
  const client = new S3Client({
    // Every server knows it, and no name of a bucket is wrong in it.
    forcePathStyle: true,
    // What is not asked for, many servers do not know. Users of the store hash what matters.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: SILENCE_MS },
  });
  return new S3Store(client, place);
}

class S3Store implements Store {
  readonly url: string;
  readonly #client: S3Client;
  readonly #place: S3Place;

  constructor(client: S3Client, place: S3Place) {
    this.url = place.url;
    this.#client = client;
    this.#place = place;
  }

  async verify(): Promise<void> {
    const { bucket: Bucket, prefix: Prefix } = this.#place;
    const command = new ListObjectsV2Command({ Bucket, Prefix, MaxKeys: 1 });
    await this.#words(() => this.#client.send(command));
  }

  put(key: string, content: Readable, options?: PutOptions): Promise<Stored> {
    return this.#upload(key, content, { options, conditions: {} });
  }

  putNew(key: string, content: Readable, options?: PutOptions): Promise<Stored> {
    return this.#upload(key, content, { options, conditions: { IfNoneMatch: '*' } });
  }

  get(key: string): Promise<Readable | undefined> {
    return this.#words(async () => {
      const command = new GetObjectCommand(this.#at(key));
      const answer = await this.#client.send(command).catch(undefinedWhenMissing);
      if (answer === undefined) return undefined;
      const { Body: body } = answer;
      if (body instanceof Readable) return body;
      throw new StoreError('refused', `the store ${this.url} gave ${key} without its content`);
    });
  }

  head(key: string): Promise<StoredBlob | undefined> {
    return this.#words(async () => {
      const command = new HeadObjectCommand(this.#at(key));
      const answer = await this.#client.send(command).catch(undefinedWhenMissing);
      return answer === undefined ? undefined : { key, bytes: answer.ContentLength ?? 0 };
    });
  }

  async *list(prefix: string): AsyncGenerator<StoredBlob> {
    for await (const page of this.#pages(prefix)) yield* page;
  }

  async delete(key: string): Promise<void> {
    await this.#words(() => this.#client.send(new DeleteObjectCommand(this.#at(key))));
  }

  async deleteAll(prefix: string): Promise<void> {
    for await (const page of this.#pages(checkFolder(prefix))) {
      const objects = page.map(({ key }) => ({ Key: this.#at(key).Key }));
      if (objects.length === 0) continue;
      const command = new DeleteObjectsCommand({
        Bucket: this.#place.bucket,
        Delete: { Objects: objects, Quiet: true },
      });
      const { Errors: refused = [] } = await this.#words(() => this.#client.send(command));
      const [first] = refused;
      if (first === undefined) continue;
      const words = `${first.Key ?? 'a blob'} could not be deleted: ${first.Message ?? first.Code}`;
      throw new StoreError('refused', `the store ${this.url}: ${words}`);
    }
  }

  async #upload(
    key: string,
    content: Readable,
    given: {
      readonly options: PutOptions | undefined;
      readonly conditions: Partial<PutObjectCommandInput>;
    },
  ): Promise<Stored> {
    // Given up by its source, which fails: parts that were sent are then taken back.
    const meter = metered(content, given.options);
    try {
      const upload = new Upload({
        client: this.#client,
        params: { ...this.#at(key), ...given.conditions, Body: meter.content },
        partSize: PART_BYTES,
        queueSize: 1,
      });
      await upload.done();
      return meter.stored();
    } catch (error) {
      throw error === content.errored ? error : toStoreError(this.url, error);
    } finally {
      content.destroy();
    }
  }

  async *#pages(prefix: string): AsyncGenerator<readonly StoredBlob[]> {
    const { bucket: Bucket, prefix: own } = this.#place;
    const Prefix = `${own}${checkPrefix(prefix)}`;
    let next: string | undefined;
    do {
      const more = next === undefined ? {} : { ContinuationToken: next };
      const command = new ListObjectsV2Command({ Bucket, Prefix, ...more });
      const page = await this.#words(() => this.#client.send(command));
      yield (page.Contents ?? []).flatMap(({ Key, Size = 0 }) =>
        Key === undefined ? [] : [{ key: Key.slice(own.length), bytes: Size }],
      );
      next = page.NextContinuationToken;
    } while (next !== undefined);
  }

  #at(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#place.bucket, Key: `${this.#place.prefix}${checkKey(key)}` };
  }

  async #words<Result>(use: () => Promise<Result>): Promise<Result> {
    try {
      return await use();
    } catch (error) {
      throw toStoreError(this.url, error);
    }
  }
}

function undefinedWhenMissing(error: unknown): undefined {
  if (isMissing(error)) return undefined;
  throw error;
}
