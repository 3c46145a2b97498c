export { agent, environment } from './registry-entity.ts';
export { session } from './session.ts';
