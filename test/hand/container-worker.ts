import {
  type ContainerProvider,
  type ContainerProviderOptions,
  createContainerProvider,
} from '../../activities/hands/container/container-provider.ts';
import { folderUrl, openStore } from '../../store/open-store.ts';

/** A worker's provider in a folder that it shares with others of a test. */
export async function openContainerWorker(
  folder: string,
  options: Partial<ContainerProviderOptions> = {},
): Promise<ContainerProvider> {
  return createContainerProvider({
    doors: `${folder}/doors`,
    claims: `${folder}/claims`,
    temporalNamespace: { name: 'default', id: 'namespace' },
    store: await openStore(folderUrl(`${folder}/store`)),
    gateway: {
      readKeys() {
        throw new Error('no test of these has a network');
      },
      readCertificate: () => '',
    },
    ...options,
  });
}
