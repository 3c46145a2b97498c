import { isObject, type JsonObject } from '../../protocol/json-object.ts';
import type { ContentBlock, ModelStopReason } from '../../protocol/session-event.ts';

/** One content block as far as the stream has brought it. */
export interface AnswerBlock {
  block: ContentBlock;
  /** The stream closed it: an interrupt or a broken line leaves the last one open. */
  isComplete: boolean;
  /** JSON text of a tool's input as streamed; empty when the block came with its input. */
  inputText: string;
  /** Why `inputText` is not an object; the block's input is empty then. */
  inputProblem?: string;
}

/** A model's answer as it grows. Built by `addToAnswer` alone. */
export interface Answer {
  /** The API's message object without its content. */
  message: JsonObject;
  blocks: AnswerBlock[];
  stopReason: ModelStopReason | null;
  /** `message_stop` came: nothing is missing. */
  isFinished: boolean;
}

export function emptyAnswer(): Answer {
  return { message: {}, blocks: [], stopReason: null, isFinished: false };
}

/**
 * Takes one event of the stream into the answer. Fields, deltas and blocks of kinds that this
 * version does not know are kept all the same, since they have to be sent back unchanged.
 */
export function addToAnswer(answer: Answer, event: JsonObject): void {
  switch (event['type']) {
    case 'message_start':
      startMessage(answer, objectAt(event, 'message'));
      break;
    case 'content_block_start':
      startBlock(answer, event);
      break;
    case 'content_block_delta':
      addDelta(blockAt(answer, event), objectAt(event, 'delta'));
      break;
    case 'content_block_stop':
      completeBlock(blockAt(answer, event));
      break;
    case 'message_delta':
      mergeMessageDelta(answer, event);
      break;
    case 'message_stop':
      answer.isFinished = true;
      break;
    default:
  }
}

/** Programmatic tool calls arrive whole within `message_start`, with their stop reason. */
function startMessage(answer: Answer, started: JsonObject): void {
  const { content, ...message } = started;
  answer.message = message;
  answer.stopReason = stopReasonOf(message['stop_reason']);
  const blocks = Array.isArray(content) ? content.filter(isObject) : [];
  answer.blocks = blocks.map((block) => ({ ...openBlock(block), isComplete: true }));
}

function startBlock(answer: Answer, event: JsonObject): void {
  const index = indexOf(event);
  if (index > answer.blocks.length) {
    throw new TypeError(`the stream opens content block ${index} after ${answer.blocks.length}`);
  }
  answer.blocks[index] = openBlock(objectAt(event, 'content_block'));
}

function openBlock(block: JsonObject): AnswerBlock {
  if (typeof block['type'] !== 'string') throw new TypeError('a content block has no type');
  return { block: toContentBlock(block), isComplete: false, inputText: '' };
}

/** A block of an unknown type passes as it is: its type was checked to be a string. */
function toContentBlock(block: JsonObject): ContentBlock {
  return block as unknown as ContentBlock;
}

function addDelta(target: AnswerBlock, delta: JsonObject): void {
  const block: JsonObject = { ...target.block };
  const { type, ...fields } = delta;
  switch (type) {
    case 'input_json_delta':
      target.inputText += textOf(fields['partial_json']);
      return;
    case 'citations_delta':
      block['citations'] = [...listOf(block['citations']), fields['citation']];
      break;
    case 'text_delta':
      block['text'] = textOf(block['text']) + textOf(fields['text']);
      break;
    case 'thinking_delta':
      block['thinking'] = textOf(block['thinking']) + textOf(fields['thinking']);
      break;
    default:
      // signature_delta and compaction_delta carry final values; so does what is not known yet.
      Object.assign(block, fields);
  }
  target.block = toContentBlock(block);
}

function completeBlock(target: AnswerBlock): void {
  target.isComplete = true;
  if (target.inputText === '') return;
  const parsed = parseInput(target.inputText);
  target.block = toContentBlock({ ...target.block, input: parsed.input });
  if (parsed.problem !== undefined) target.inputProblem = parsed.problem;
}

function parseInput(text: string): { input: JsonObject; problem?: string } {
  try {
    const input: unknown = JSON.parse(text);
    if (isObject(input)) return { input };
    return { input: {}, problem: 'the input must be a JSON object' };
  } catch (error) {
    return { input: {}, problem: error instanceof Error ? error.message : String(error) };
  }
}

function mergeMessageDelta(answer: Answer, event: JsonObject): void {
  const { type: _type, delta, usage, ...rest } = event;
  const changed = { ...(isObject(delta) ? delta : {}), ...rest };
  for (const [key, value] of Object.entries(changed)) {
    if (value !== null || !(key in answer.message)) answer.message[key] = value;
  }
  // Counters are cumulative; a missing or null one leaves what message_start said.
  const counters = Object.entries(isObject(usage) ? usage : {}).filter(
    ([, value]) => value !== null,
  );
  const before = answer.message['usage'];
  answer.message['usage'] = {
    ...(isObject(before) ? before : {}),
    ...Object.fromEntries(counters),
  };
  answer.stopReason = stopReasonOf(answer.message['stop_reason']);
}

function blockAt(answer: Answer, event: JsonObject): AnswerBlock {
  const index = indexOf(event);
  const block = answer.blocks[index];
  if (block === undefined) throw new TypeError(`the stream names content block ${index}, unopened`);
  return block;
}

function indexOf(event: JsonObject): number {
  const index = event['index'];
  if (typeof index !== 'number') throw new TypeError('a content block event has no index');
  return index;
}

function objectAt(event: JsonObject, key: string): JsonObject {
  const value = event[key];
  if (!isObject(value)) throw new TypeError(`a stream event has no ${key}`);
  return value;
}

/** Reasons of a later API pass too: they are shown, and end the turn like `end_turn`. */
function stopReasonOf(value: unknown): ModelStopReason | null {
  return typeof value === 'string' ? (value as ModelStopReason) : null;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
