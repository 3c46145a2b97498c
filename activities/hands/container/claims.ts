import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** Which instance is whose, on a disk that all workers of the hands share. */
const Claim = z.object({
  instance: z.string(),
  session_id: z.string(),
  chain_id: z.string(),
  /** Seconds since 1970. */
  claimed_at: z.int(),
});
export type Claim = z.infer<typeof Claim>;

/**
 * The claims on hands in containers, each by its owner's key. A claim is written before its hand is
 * configured, so a hand that is somebody's and has no claim is one that was given up.
 */
export interface Claims {
  find(owner: string): Claim | undefined;
  /** False when the owner has a claim already. */
  make(owner: string, claim: Claim): boolean;
  /** Removes that claim, and no other one of the owner. */
  giveUp(owner: string, instance: string): void;
  list(): readonly { readonly owner: string; readonly claim: Claim }[];
}

const OWNER = /^[0-9a-f]+$/;

/** @param folder Made when missing. */
export function openClaims(folder: string): Claims {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const pathOf = (owner: string): string => {
    if (!OWNER.test(owner)) throw new TypeError(`"${owner}" is no key of a hand.`);
    return join(folder, owner);
  };
  const find: Claims['find'] = (owner) => {
    try {
      return Claim.parse(JSON.parse(readFileSync(pathOf(owner), 'utf8')));
    } catch (error) {
      // What a power cut left of one claims nothing.
      if ((error as NodeJS.ErrnoException).code === undefined) rmSync(pathOf(owner));
      return undefined;
    }
  };
  return {
    find,
    make(owner, claim) {
      const draft = join(folder, `.${randomUUID()}`);
      writeFileSync(draft, JSON.stringify(claim), { mode: 0o600, flush: true });
      try {
        linkSync(draft, pathOf(owner));
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
        throw error;
      } finally {
        rmSync(draft, { force: true });
      }
    },
    giveUp(owner, instance) {
      if (find(owner)?.instance === instance) rmSync(pathOf(owner), { force: true });
    },
    list() {
      return readdirSync(folder).flatMap((owner) => {
        const claim = OWNER.test(owner) ? find(owner) : undefined;
        return claim === undefined ? [] : [{ owner, claim }];
      });
    },
  };
}
