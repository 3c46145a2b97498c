import { z } from 'zod';

/** Content blocks a user may send, as in the Managed Agents API (`sessions/events`). */
const textBlock = z.strictObject({ type: z.literal('text'), text: z.string().min(1) });

const base64Source = z.strictObject({
  type: z.literal('base64'),
  media_type: z.string().min(1),
  data: z.string().min(1),
});
const urlSource = z.strictObject({ type: z.literal('url'), url: z.url() });
const textSource = z.strictObject({
  type: z.literal('text'),
  media_type: z.literal('text/plain'),
  data: z.string(),
});

const imageBlock = z.strictObject({
  type: z.literal('image'),
  source: z.discriminatedUnion('type', [base64Source, urlSource]),
});

const documentBlock = z.strictObject({
  type: z.literal('document'),
  source: z.discriminatedUnion('type', [base64Source, urlSource, textSource]),
  title: z.string().nullish(),
  context: z.string().nullish(),
});

/** Blocks of one content. Every one that is wrong costs time, so they are counted before. */
const MAX_BLOCKS = 1_000;

function blocks<Block extends z.ZodType>(block: Block) {
  return z
    .array(z.unknown())
    .max(MAX_BLOCKS, `must hold at most ${MAX_BLOCKS} content blocks`)
    .pipe(z.array(block));
}

const searchResultBlock = z.strictObject({
  type: z.literal('search_result'),
  source: z.string(),
  title: z.string(),
  content: blocks(z.strictObject({ type: z.literal('text'), text: z.string() })),
  citations: z.strictObject({ enabled: z.boolean() }),
});

/** A string where a person types stands for one text block. */
function orText<Block extends z.ZodType>(block: Block) {
  return z.preprocess(
    (value) => (typeof value === 'string' ? [{ type: 'text', text: value }] : value),
    blocks(block),
  );
}

export const UserContent = orText(
  z.discriminatedUnion('type', [textBlock, imageBlock, documentBlock]),
).refine((blocks) => blocks.length > 0, { message: 'must hold at least one content block' });
export type UserContent = z.infer<typeof UserContent>;

export const ResultContent = orText(
  z.discriminatedUnion('type', [textBlock, imageBlock, documentBlock, searchResultBlock]),
);
export type ResultContent = z.infer<typeof ResultContent>;
