import type { Payload, PayloadCodec } from '@temporalio/common';
import { expect, test } from 'vitest';
import { decodeHistory } from '../../log/decode-history.ts';
import { project } from '../../log/project.ts';
import { startRun } from '../../log/run-state.ts';
import { payloadConverter } from '../../protocol/payload-converter.ts';
import { buildHistory } from '../support/history-builder.ts';

// Pure: no server, no worker, no clock.

const ENCODED = new TextEncoder().encode('binary/flipped');
const flip = (data: Uint8Array | null | undefined) =>
  (data ?? new Uint8Array()).map((b) => b ^ 0xff);

const READING = { namespace: 'default', sessionId: 's', whole: false };

/** Turns every byte over; refuses what it did not encode itself. */
const codec: PayloadCodec = {
  encode: async (payloads) =>
    payloads.map((payload) => ({
      metadata: {
        ...payload.metadata,
        encoding: ENCODED,
        inner: payload.metadata?.['encoding'] ?? ENCODED,
      },
      data: flip(payload.data),
    })),
  decode: async (payloads) =>
    payloads.map((payload) => {
      const { inner, ...metadata } = payload.metadata ?? {};
      if (inner === undefined) throw new TypeError('not encoded by this codec');
      return { metadata: { ...metadata, encoding: inner }, data: flip(payload.data) };
    }),
};

async function encodedHistory() {
  const history = buildHistory();
  history.started('first');
  history.accepted('u1', 'second');
  history.signaled('third');
  history.admitted('u2', 'fourth');
  const step = history.scheduled('respond');
  const call = { type: 'agent.tool_use', id: 't1', name: 'bash', input: {} };
  history.completed(step, { events: [{ ...call, evaluated_permission: 'allow' }] });
  const run = history.scheduled('execute', { call: { id: 't1' } });
  const hidden = payloadConverter.toPayload({ message: 'the hand caught fire', stack_trace: '' });
  history.failed(run, {
    message: 'Encoded failure',
    encodedAttributes: hidden ?? null,
    applicationFailureInfo: {},
  });
  history.status('running');
  const clear = structuredClone(history.events);
  const encode = async (holder: { payloads?: Payload[] | null } | null | undefined) => {
    if (holder) holder.payloads = await codec.encode(holder.payloads ?? []);
  };
  for (const event of history.events) {
    await encode(event.workflowExecutionStartedEventAttributes?.input);
    await encode(
      event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input?.args,
    );
    await encode(event.workflowExecutionUpdateAdmittedEventAttributes?.request?.input?.args);
    await encode(event.workflowExecutionSignaledEventAttributes?.input);
    await encode(event.activityTaskScheduledEventAttributes?.input);
    await encode(event.activityTaskCompletedEventAttributes?.result);
    const failure = event.activityTaskFailedEventAttributes?.failure;
    if (failure?.encodedAttributes) {
      const [encoded] = await codec.encode([failure.encodedAttributes]);
      failure.encodedAttributes = encoded ?? null;
    }
  }
  return { clear, encoded: history.events };
}

test('an encoded history reads as the clear one, search attributes included', async () => {
  const { clear, encoded } = await encodedHistory();
  const expected = project(startRun(0), clear);
  expect(project(startRun(0), structuredClone(encoded)).events).not.toEqual(expected.events);
  await decodeHistory(encoded, [codec], READING);
  expect(project(startRun(0), encoded)).toEqual(expected);
  expect(expected.events.at(-2)).toMatchObject({
    content: [{ text: expect.stringContaining('the hand caught fire') }],
  });
  expect(expected.events.at(-1)).toMatchObject({ type: 'session.status_running' });
});

test('several codecs are undone from the last to the first', async () => {
  const { clear, encoded } = await encodedHistory();
  const order: string[] = [];
  const named = (name: string): PayloadCodec => ({
    encode: async (payloads) => payloads,
    decode: async (payloads) => {
      order.push(name);
      return name === 'first' ? codec.decode(payloads) : payloads;
    },
  });
  await decodeHistory(encoded.slice(0, 1), [named('first'), named('last')], READING);
  expect(order).toEqual(['last', 'first']);
  expect(project(startRun(0), encoded.slice(0, 1))).toEqual(
    project(startRun(0), clear.slice(0, 1)),
  );
});

test('without the codec every payload is said to be undecodable, and nothing throws', async () => {
  const { encoded } = await encodedHistory();
  const { events } = project(startRun(0), encoded);
  const errors = events.filter((event) => event.type === 'session.error');
  expect(errors).toHaveLength(5);
});

test('one payload that the codec refuses hides nothing else', async () => {
  const { clear, encoded } = await encodedHistory();
  const mixed = [...clear.slice(0, 1), ...encoded.slice(1)];
  await decodeHistory(mixed, [codec], READING);
  expect(project(startRun(0), mixed)).toEqual(project(startRun(0), clear));
});

test('read whole, a payload that the codec refuses is an error', async () => {
  const { encoded } = await encodedHistory();
  const clear = { metadata: { encoding: ENCODED }, data: new Uint8Array([1]) };
  const [first] = encoded;
  if (first) first.workflowExecutionStartedEventAttributes = { input: { payloads: [clear] } };
  await expect(decodeHistory(encoded, [codec], { ...READING, whole: true })).rejects.toThrow(
    'not encoded by this codec',
  );
});

test('a codec is told what a sender wrote, and what an activity did', async () => {
  const { encoded } = await encodedHistory();
  const contexts: unknown[] = [];
  const telling: PayloadCodec = {
    encode: async (payloads) => payloads,
    decode: async (payloads, context) => {
      contexts.push(...payloads.map(() => context?.type));
      return payloads;
    },
  };
  await decodeHistory(encoded, [telling], READING);
  expect(contexts.filter((type) => type === 'workflow')).toHaveLength(4);
  expect(contexts.filter((type) => type === 'activity')).toHaveLength(3);
});
