import { z } from 'zod';
import { EnvironmentDefinition } from '../../../protocol/environment.ts';

/** `required`: no isolation, no hand. `unconfined`: the operator takes that on. */
export const Isolation = z.enum(['required', 'unconfined']);
export type Isolation = z.infer<typeof Isolation>;

/** What a supervisor is started with: its one argument, as JSON. */
export const SupervisorSettings = z.object({
  state_folder: z.string(),
  session_id: z.string(),
  chain_id: z.string(),
  name: z.string(),
  generation: z.int(),
  instance: z.string(),
  isolation: Isolation,
  networking: EnvironmentDefinition.shape.networking,
  /** Time without a call after which the supervisor ends itself. */
  idle_ms: z.number(),
  /** What an isolated hand may not read. */
  hidden_paths: z.array(z.string()).readonly(),
  /** Told to the model with the first result. */
  notice: z.string().optional(),
  /** `PATH` of programs. */
  path: z.string(),
});
export type SupervisorSettings = Readonly<z.infer<typeof SupervisorSettings>>;

/** What a supervisor tells whoever started it, as one line on descriptor 3. */
export const SupervisorReport = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  /** Another supervisor has the hand. */
  z.object({ type: z.literal('taken') }),
  z.object({ type: z.literal('isolation_missing'), message: z.string() }),
  z.object({ type: z.literal('failed'), message: z.string() }),
]);
export type SupervisorReport = z.infer<typeof SupervisorReport>;
