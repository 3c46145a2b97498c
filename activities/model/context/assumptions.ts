import { type AgentDefinition, ASSUMPTIONS, type Assumption } from '../../../protocol/agent.ts';
import type { Seen, SessionStep } from './session-step.ts';

/** Returns its very argument when it changes nothing, so that only what shaped a request is named. */
type Transform = (steps: readonly SessionStep[]) => readonly SessionStep[];

/** Every workaround for a weakness of a model: each on by default, off per agent, free to be pruned. */
const TRANSFORMS: Readonly<Record<Assumption, Transform>> = {
  continue_after_max_tokens: continueAfterMaxTokens,
  note_interrupt: noteInterrupt,
};

const CONTINUE_NOTE =
  '[Your answer was cut off at the output limit. Go on exactly where it stopped; repeat nothing.]';
const INTERRUPT_NOTE =
  '[The user interrupted you here. What was running was stopped; do not take it up again unless asked to.]';

export interface Shaped {
  readonly steps: readonly SessionStep[];
  /** Names of the assumptions that changed something. */
  readonly assumptions: readonly Assumption[];
}

export function applyAssumptions(agent: AgentDefinition, before: readonly SessionStep[]): Shaped {
  const assumptions: Assumption[] = [];
  let steps = before;
  for (const name of Object.keys(ASSUMPTIONS) as Assumption[]) {
    if (agent.assumptions[name] === false) continue;
    const after = TRANSFORMS[name](steps);
    if (after !== steps) assumptions.push(name);
    steps = after;
  }
  return { steps, assumptions };
}

/** A step that saw nothing new after a cut answer was made to continue it. */
function continueAfterMaxTokens(steps: readonly SessionStep[]): readonly SessionStep[] {
  const isContinuation = (step: SessionStep, index: number): boolean => {
    const before = steps[index - 1];
    return (
      before?.stopReason === 'max_tokens' && before.results.size === 0 && step.seen.length === 0
    );
  };
  if (!steps.some(isContinuation)) return steps;
  const note: Seen = { type: 'note', text: CONTINUE_NOTE };
  return steps.map((step, index) =>
    isContinuation(step, index) ? { ...step, seen: [note] } : step,
  );
}

function noteInterrupt(steps: readonly SessionStep[]): readonly SessionStep[] {
  if (!steps.some((step) => step.seen.some(({ type }) => type === 'interrupt'))) return steps;
  return steps.map((step) => ({ ...step, seen: noteOnce(step.seen) }));
}

/** Several interrupts between two requests are one to the model. */
function noteOnce(seen: readonly Seen[]): readonly Seen[] {
  const first = seen.findIndex(({ type }) => type === 'interrupt');
  return seen.flatMap((item, index): Seen[] => {
    if (item.type !== 'interrupt') return [item];
    return index === first ? [{ type: 'note', text: INTERRUPT_NOTE }] : [];
  });
}
