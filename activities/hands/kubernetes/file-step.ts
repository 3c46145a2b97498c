import type { Readable } from 'node:stream';
import { TRANSFER_COMMAND } from '../../../k8s/hand-job.ts';
import { mountPathOf, type SessionResourceSpec } from '../../../protocol/resource.ts';
import { fileKey } from '../../../store/places.ts';
import type { Store } from '../../../store/store.ts';
import { type HandInSetup, SetupFailedError, type SetupStep } from './hand-setup.ts';
import { type TransferStream, transferBy } from './transfer-stream.ts';

type FileSpec = Extract<SessionResourceSpec, { type: 'file' }>;

/** Puts a file of the store into the hand, for reading. */
export function fileStep(resource: FileSpec, store: Store): SetupStep {
  const { file_id } = resource;
  return {
    title: `file ${file_id}`,
    async run(hand) {
      const content = await store.get(fileKey(file_id));
      if (content === undefined) {
        throw new SetupFailedError(
          `File ${file_id} is not in the store ${store.url}: put it there, and start the session again.`,
        );
      }
      try {
        await send(hand, content, mountPathOf(resource));
      } finally {
        content.destroy();
      }
    },
  };
}

async function send(hand: HandInSetup, content: Readable, path: string): Promise<void> {
  const stream = await hand.exec(TRANSFER_COMMAND);
  const never = new AbortController().signal;
  const answer = await transferBy(stream, never, async (transfer) => {
    await transfer.order({ type: 'receive', path });
    return answerTo(transfer, content);
  });
  if (answer.type === 'received') return;
  throw new SetupFailedError(
    `A file could not be put into the sandbox: ${String(answer['message']).slice(0, 1_000)}`,
  );
}

/** It may be refused before it has been sent. */
async function answerTo(
  transfer: TransferStream,
  content: Readable,
): ReturnType<TransferStream['expect']> {
  const answer = transfer.expect('received', 'refused');
  answer.catch(() => {});
  await Promise.race([answer, transfer.sendContent(content)]);
  return answer;
}
