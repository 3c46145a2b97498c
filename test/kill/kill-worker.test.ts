import { describeKills } from '../support/describe-kills.ts';
import { type KillPoint, STEPS } from '../support/kill-session.ts';

describeKills([
  ...Array.from({ length: STEPS }, (_, step): KillPoint[] => [
    { at: 'streaming', step },
    { at: 'running', step },
    { at: 'between', step },
  ]).flat(),
  { at: 'streaming', step: STEPS },
  { at: 'roll_over', run: 1 },
  { at: 'roll_over', run: 2 },
  { at: 'roll_over', run: 3 },
]);
