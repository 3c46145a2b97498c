import type { EventPrinter, Output } from './event-printer.ts';

/** One JSON object per line; nothing that is not an event of the log. */
export function createJsonPrinter(output: Output): EventPrinter {
  return {
    event(event) {
      output.write(`${JSON.stringify(event)}\n`);
    },
    preview() {},
    line() {},
  };
}
