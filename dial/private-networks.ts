import { z } from 'zod';
import { toBlockList } from './public-addresses.ts';

/** Comma-separated networks that may be dialled though they are not public. Default: none. */
export const PrivateNetworks = z
  .string()
  .default('')
  .transform((value, context) => {
    const networks = value.split(',').map((network) => network.trim());
    try {
      return toBlockList(networks.filter((network) => network !== ''));
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
      return z.NEVER;
    }
  });
