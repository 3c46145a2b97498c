import { setTimeout as delay } from 'node:timers/promises';
import { askLauncher, type LauncherInfo } from './launcher-claim.ts';
import { hasModel } from './model.ts';
import type { Platform, Setting } from './platform.ts';
import { connectConfigured, connectOwn, payloadKeysOf } from './target.ts';

const POLL_MS = 200;

/** A later launcher on the same state folder: uses what the first one runs, and starts nothing. */
export async function joinPlatform(
  setting: Setting,
  first: LauncherInfo,
  closing: AsyncDisposableStack,
): Promise<Platform> {
  const { configured, variables, say, state } = setting;
  const { address, external, namespace, uiUrl, rehearsal, pid, payloadKeys } = await untilOpen(
    setting,
    first,
  );
  const meant = configured?.address ?? address;
  if (meant !== address || external !== (configured !== null)) {
    throw new Error(
      `the state folder ${state.path} is used by another start (process ${pid}) for the server ${address}; ` +
        'set DROVER_STATE_FOLDER to another folder, or end that one',
    );
  }
  if (payloadKeysOf(variables) !== payloadKeys) {
    const theirs = payloadKeys === null ? 'without a key ring' : `with the key ring ${payloadKeys}`;
    throw new Error(
      `the worker of process ${pid} runs ${theirs}; start with the same DROVER_PAYLOAD_KEYS, or end that process`,
    );
  }
  say(`server, worker and model: those of process ${pid}, which started first; they end with it`);
  if (rehearsal && hasModel(variables)) {
    say('its model is a REHEARSAL: end it and start again to use the model configured here');
  }
  const drover = await (external ? connectConfigured() : connectOwn(address, namespace, variables));
  closing.defer(() => drover.close());
  return { drover, uiUrl, rehearsal, external };
}

async function untilOpen(
  { state, say, signal }: Setting,
  first: LauncherInfo,
): Promise<LauncherInfo & { readonly address: string }> {
  let info: LauncherInfo | undefined = first;
  if (info.address === null) say(`waiting for process ${info.pid}, which is starting`);
  while (info !== undefined) {
    if (info.address !== null) return { ...info, address: info.address };
    await delay(POLL_MS, undefined, { signal });
    info = await askLauncher(state.launcherSocket);
  }
  throw new Error(`process ${first.pid}, which was starting on ${state.path}, ended; start again`);
}
