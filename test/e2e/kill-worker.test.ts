import { describeKills } from '../support/describe-kills.ts';

/** A few points of the whole suite, which is `npm run test:kill`. */
describeKills([
  { at: 'streaming', step: 0 },
  { at: 'running', step: 2 },
  { at: 'between', step: 4 },
  { at: 'streaming', step: 7 },
  { at: 'roll_over', run: 2 },
]);
