import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { FAILURE } from '../../protocol/failure.ts';
import type {
  ExecuteInput,
  ExecuteResult,
  HandActivities,
  HandName,
  ProvisionResult,
  ToolCall,
} from '../../protocol/hand.ts';
import { type Calculator, NEW_CALCULATOR, press, UnknownKeyError } from './calculator.ts';

/** One calculator as it lies on disk, with all it was ever asked: a call takes effect once. */
interface Stored {
  readonly generation: number;
  /** Null after it was put away. */
  readonly instance: string | null;
  readonly calculator: Calculator;
  readonly answers: Readonly<Record<string, Answer>>;
}

interface Answer {
  readonly input: string;
  readonly text: string;
  readonly is_error: boolean;
}

/**
 * The three activities of a hand that is no computer. Reading, deciding and writing happen in one
 * go, so that two calls, or two attempts at one, never see the same state.
 *
 * @param folder where the calculators lie; a worker that starts anew goes on with them
 */
export function createCalculatorHand(folder: string): HandActivities {
  mkdirSync(folder, { recursive: true });
  const pathOf = ({ chain_id, session_id, name }: HandName) =>
    join(folder, `${sha256(JSON.stringify([chain_id, session_id, name]))}.json`);
  return {
    async provision({ hand, environment }) {
      const path = pathOf(hand);
      const made = make(read(path), hand);
      write(path, made);
      return toResult(hand, environment.definition.provider, made);
    },
    async execute(input) {
      const path = pathOf(input.hand);
      const stored = read(path);
      if (stored?.instance !== input.hand.instance) return gone(input.call);
      const answered = answer(stored, input);
      write(path, answered.stored);
      return toToolResult(input.call, answered.answer);
    },
    async release({ hand, keep_workspace }) {
      const path = pathOf(hand);
      const stored = read(path);
      if (stored === undefined || stored.generation > hand.generation) return;
      if (keep_workspace) write(path, { ...stored, instance: null });
      else rmSync(path, { force: true });
    },
  };
}

/** The one that is there, or the next generation of it with what its display and memory hold. */
function make(stored: Stored | undefined, { generation, name }: HandName): Stored {
  if (stored !== undefined && stored.generation > generation) {
    throw ApplicationFailure.create({
      type: FAILURE.sandboxSuperseded,
      message: `Calculator ${name} is at generation ${stored.generation} already.`,
      nonRetryable: true,
      details: [stored.generation],
    });
  }
  if (stored?.generation === generation && stored.instance !== null) return stored;
  const { calculator, answers } = stored ?? { calculator: NEW_CALCULATOR, answers: {} };
  return { generation, instance: randomUUID(), calculator, answers };
}

function answer(
  stored: Stored,
  { session_id, call }: ExecuteInput,
): { readonly stored: Stored; readonly answer: Answer } {
  const key = JSON.stringify([session_id, call.id]);
  const input = sha256(JSON.stringify([call.name, call.input]));
  const known = stored.answers[key];
  if (known !== undefined && known.input !== input) {
    throw ApplicationFailure.create({
      type: FAILURE.sandboxJournalConflict,
      message: `Call ${call.id} was made before with another input.`,
      nonRetryable: true,
    });
  }
  if (known !== undefined) return { stored, answer: known };
  const { calculator, ...said } = use(stored.calculator, call);
  const answer = { input, ...said };
  return {
    answer,
    stored: { ...stored, calculator, answers: { ...stored.answers, [key]: answer } },
  };
}

function use(
  calculator: Calculator,
  { name, input }: ToolCall,
): Omit<Answer, 'input'> & { readonly calculator: Calculator } {
  const keys = name === 'press' ? input['keys'] : '';
  if (typeof keys !== 'string' || (name !== 'press' && name !== 'look')) {
    const text = 'This hand has the tools press {"keys": "1 + 2 ="} and look {}.';
    return { calculator, text, is_error: true };
  }
  try {
    const pressed = press(calculator, keys);
    return { calculator: pressed, text: face(pressed), is_error: false };
  } catch (error) {
    if (!(error instanceof UnknownKeyError)) throw error;
    return { calculator, text: `${error.message} Nothing was pressed.`, is_error: true };
  }
}

function face({ display, memory }: Calculator): string {
  return memory === 0 ? display : `${display} (M)`;
}

function toResult(hand: HandName, provider: string, { instance }: Stored): ProvisionResult {
  return { hand: { ...hand, provider, instance: instance ?? '' } };
}

function toToolResult(call: ToolCall, { text, is_error }: Omit<Answer, 'input'>): ExecuteResult {
  const content = [{ type: 'text' as const, text }];
  return { events: [{ type: 'agent.tool_result', tool_use_id: call.id, content, is_error }] };
}

function gone(call: ToolCall): ExecuteResult {
  const text =
    'This calculator was put away; nothing was pressed. The next call takes it out again.';
  return { ...toToolResult(call, { text, is_error: true }), lost: true };
}

function read(path: string): Stored | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Stored;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whole or not at all, also when the worker dies meanwhile. */
function write(path: string, stored: Stored): void {
  const draft = `${path}.new`;
  writeFileSync(draft, JSON.stringify(stored));
  renameSync(draft, path);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
