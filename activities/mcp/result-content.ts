import { z } from 'zod';
import type { ResultContent } from '../../protocol/content.ts';
import type { Redactor } from './redactor.ts';

type Block = ResultContent[number];

/** What a tool answered, without secrets. */
export interface ServerResult {
  /** What a model can be shown. */
  readonly content: readonly Block[];
  readonly isError: boolean;
  /** All of it, for a file: text, or JSON of what is more than text. */
  readonly whole: { readonly text: string; readonly extension: 'txt' | 'json' };
  /** Something of it can only be had from the file. */
  readonly isPartial: boolean;
}

const SHOWN_IMAGES = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);
/** Base64 of one image: the API takes no larger ones, nor would they all fit into one result. */
const MAX_IMAGE_CHARACTERS = 1_000_000;

const Part = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('text'), text: z.string() }),
  z.looseObject({ type: z.literal('image'), data: z.string(), mimeType: z.string() }),
  z.looseObject({ type: z.literal('audio'), data: z.string(), mimeType: z.string() }),
  z.looseObject({
    type: z.literal('resource'),
    resource: z.looseObject({
      uri: z.string(),
      mimeType: z.string().optional(),
      text: z.string().optional(),
      blob: z.string().optional(),
    }),
  }),
  z.looseObject({
    type: z.literal('resource_link'),
    uri: z.string(),
    name: z.string().optional(),
    description: z.string().optional(),
  }),
]);

interface Shown {
  readonly block: Block;
  readonly isPartial?: true;
}

export function readResult(
  answer: {
    readonly content?: readonly unknown[] | undefined;
    readonly structuredContent?: unknown;
    readonly isError?: boolean | undefined;
  },
  redactor: Redactor,
): ServerResult {
  const { content = [], structuredContent, isError = false } = answer;
  const parts = content.map((part) => redactor.redactJson(part));
  // Its text form is in the content, when a server keeps to the protocol.
  const isStructured = parts.length === 0 && structuredContent != null;
  const shown: Shown[] = isStructured
    ? [{ block: text(JSON.stringify(redactor.redactJson(structuredContent))) }]
    : roomForImages(parts).map(({ part, hasRoom }) => show(part, hasRoom));
  const texts = shown.flatMap(({ block }) => (block.type === 'text' ? [block.text] : []));
  const isText = texts.length === shown.length && !shown.some(({ isPartial }) => isPartial);
  return {
    content: shown.map(({ block }) => block),
    isError,
    whole: isText
      ? { text: texts.join('\n'), extension: 'txt' }
      : { text: JSON.stringify(parts, null, 1), extension: 'json' },
    isPartial: shown.some(({ isPartial }) => isPartial),
  };
}

function roomForImages(
  parts: readonly unknown[],
): { readonly part: unknown; readonly hasRoom: boolean }[] {
  let left = MAX_IMAGE_CHARACTERS;
  return parts.map((part) => {
    const data: unknown = Object(part).type === 'image' ? Object(part).data : undefined;
    if (typeof data !== 'string') return { part, hasRoom: true };
    left -= data.length;
    return { part, hasRoom: left >= 0 };
  });
}

function show(raw: unknown, hasRoom: boolean): Shown {
  const parsed = Part.safeParse(raw);
  if (!parsed.success) return { block: text(JSON.stringify(raw)) };
  const part = parsed.data;
  switch (part.type) {
    case 'text':
      return { block: text(part.text) };
    case 'image':
      if (!SHOWN_IMAGES.has(part.mimeType) || !hasRoom || !isBase64(part.data)) return binary(part);
      return {
        block: {
          type: 'image',
          source: { type: 'base64', media_type: part.mimeType, data: part.data },
        },
      };
    case 'audio':
      return binary(part);
    case 'resource': {
      const { uri, mimeType, text: body, blob } = part.resource;
      if (body !== undefined) return { block: text(`[resource ${uri}]\n${body}`) };
      return binary({ type: `resource ${uri}`, mimeType: mimeType ?? 'unknown', data: blob ?? '' });
    }
    case 'resource_link': {
      const { uri, name, description } = part;
      const about = [name, description].filter((word) => word !== undefined).join(': ');
      return { block: text(`[link to resource ${uri}]${about === '' ? '' : ` ${about}`}`) };
    }
  }
}

function binary(part: {
  readonly type: string;
  readonly mimeType: string;
  readonly data: string;
}): Shown {
  const bytes = Buffer.byteLength(part.data, 'base64');
  const words = `[${part.type}, ${part.mimeType}, ${bytes} bytes, not shown here]`;
  return { block: text(words), isPartial: true };
}

function text(words: string): Block {
  return { type: 'text', text: words.toWellFormed() };
}

function isBase64(data: string): boolean {
  return data !== '' && /^[A-Za-z0-9+/]+={0,2}$/.test(data);
}
