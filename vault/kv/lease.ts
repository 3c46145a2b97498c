import { z } from 'zod';

export interface Lease {
  readonly token: string;
  /** Zero: it does not end. */
  readonly leaseS: number;
  readonly isRenewable: boolean;
}

/** What a login and a renewal answer. */
export const AuthAnswer = z.object({
  auth: z.object({
    client_token: z.string(),
    lease_duration: z.number(),
    renewable: z.boolean(),
  }),
});
