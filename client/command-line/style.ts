import { styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

/** Colours a text, or leaves it plain. */
export type Style = (format: Format, text: string) => string;

export const plain: Style = (_format, text) => text;
const coloured: Style = (format, text) => styleText(format, text, { validateStream: false });

/** Colour on a terminal only, and not where NO_COLOR is set or the terminal has none. */
export function styleFor(stream: { readonly isTTY?: boolean }): Style {
  const { NO_COLOR, TERM } = process.env;
  const wanted = stream.isTTY === true && (NO_COLOR ?? '') === '' && TERM !== 'dumb';
  return wanted ? coloured : plain;
}
