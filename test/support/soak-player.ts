import type { Player, RehearsalBlock, RehearsalRequest, Turn } from '../../rehearsal/player.ts';
import { calls, everyMs, says, text } from '../../rehearsal/script.ts';
import { randomFrom } from './random-session.ts';

const PACE = everyMs(4);

/** File in the workspace to which every command appends its own name. */
export const RAN_FILE = 'ran.txt';

/**
 * A model that does anything: speaks, calls tools of every kind side by side, is cut, refuses,
 * fails. What it says follows from the conversation, so that a step that is asked for again gets
 * the same answer; whether a request fails does not.
 */
export function soakPlayer(seed: number): Player {
  const chance = randomFrom(seed);
  return (request) => failure(chance()) ?? answer(request, chance());
}

function failure(roll: number): Turn | undefined {
  if (roll < 0.04) return { type: 'error', status: 529, headers: { 'retry-after-ms': '50' } };
  return undefined;
}

function answer(request: RehearsalRequest, ending: number): Turn {
  const blocks = request.messages.flatMap(({ content }): unknown[] => [content ?? []].flat());
  const earlier = JSON.stringify(blocks).match(/"type":"tool_use"/g)?.length ?? 0;
  const random = randomFrom(hash(JSON.stringify(blocks.at(-1))) + blocks.length);
  const roll = random();
  const words = text(`Answer ${blocks.length}.`);
  const turn = { pace: PACE, ...(ending < 0.04 ? BROKEN : {}) };
  if (roll < 0.3) return says([words], turn);
  if (roll < 0.34) return says([words], { ...turn, stop_reason: 'max_tokens' });
  if (roll < 0.36) return says([words], { ...turn, stop_reason: 'refusal' });
  const count = 1 + Math.floor(random() * 4);
  const uses = Array.from({ length: count }, (_, index) =>
    toolUse(`toolu_${earlier}_${index}`, random()),
  );
  return says(random() < 0.5 ? [words, ...uses] : uses, turn);
}

const BROKEN = { ends: { type: 'drop', afterEvents: 4 } } as const;

function toolUse(id: string, roll: number): RehearsalBlock {
  const run = `echo ${id} >> ${RAN_FILE}; echo ran ${id}`;
  if (roll < 0.35) return calls('bash', { command: run }, id);
  if (roll < 0.5) return calls('bash', { command: `sleep 0.${(roll * 100) | 0}; ${run}` }, id);
  if (roll < 0.55) return calls('bash', { command: `sleep 3; ${run}` }, id);
  if (roll < 0.75) return calls('write', { file_path: `${id}.txt`, content: id }, id);
  if (roll < 0.92) return calls('ask', { question: id }, id);
  if (roll < 0.96) return calls('bash', { command: 'kill -9 $PPID' }, id);
  return calls('no_such_tool', {}, id);
}

function hash(words: string): number {
  let value = 7;
  for (const character of words) value = (Math.imul(value, 31) + character.charCodeAt(0)) | 0;
  return value;
}
