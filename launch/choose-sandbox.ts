import { whyNotIsolated } from './can-isolate.ts';

export interface SandboxChoice {
  readonly mode: 'required' | 'unconfined';
  /** Said at the start. */
  readonly words: string;
  /**
   * This start alone runs without isolation, as nobody asked for it: sessions of a real model must
   * never run in it.
   */
  readonly onlyRehearsal: boolean;
}

/** @throws Error naming what to install, when a real model would run without isolation */
export async function chooseSandbox(
  configured: string | undefined,
  rehearsal: boolean,
  probe: () => Promise<string | undefined> = whyNotIsolated,
): Promise<SandboxChoice> {
  if (configured === 'unconfined') {
    return {
      mode: 'unconfined',
      words: 'sandbox: NONE (DROVER_SANDBOX=unconfined). Tools may do all that you may do.',
      onlyRehearsal: false,
    };
  }
  if (configured !== undefined && configured !== '' && configured !== 'required') {
    throw new Error(`DROVER_SANDBOX: "${configured}" must be required or unconfined`);
  }
  const reason = await probe();
  if (reason === undefined) {
    return { mode: 'required', words: 'sandbox: isolated, no network', onlyRehearsal: false };
  }
  if (!rehearsal) {
    throw new Error(
      `this machine cannot isolate what a session runs: ${reason}. Install what is missing and allow ` +
        'unprivileged user namespaces, or set DROVER_SANDBOX=unconfined to run tools with all that you may do',
    );
  }
  return {
    mode: 'unconfined',
    words:
      `sandbox: NONE, since this machine cannot isolate (${reason}). The rehearsal runs without it, ` +
      'its commands are a known script; a real model would not be started so.',
    onlyRehearsal: true,
  };
}
