export { outputs } from './outputs.ts';
export { agent, environment } from './registry-entity.ts';
export { session } from './session.ts';
export { default } from './unknown-type.ts';
