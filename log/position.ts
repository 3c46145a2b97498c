import { CursorMalformedError } from './errors/cursor-malformed-error.ts';

/**
 * Where an event stands in the log: run of the chain, history event, item of what that event
 * contributes. Orders events; says nothing about their identity.
 */
export interface Position {
  /** 0-based index of the run in the chain. */
  readonly run: number;
  readonly event: number;
  readonly item: number;
  /** Marks the run that recorded the event, so that a cursor of an abandoned branch is noticed. */
  readonly tag: string;
}

/** Widths keep positions sortable as strings; a history ends at 51,200 events by default. */
const RUN_DIGITS = 5;
const EVENT_DIGITS = 6;
const ITEM_DIGITS = 5;
const ORDER_LENGTH = RUN_DIGITS + EVENT_DIGITS + ITEM_DIGITS + 2;

const FORMAT = /^(\d{5})-(\d{6})-(\d{5})-([0-9a-z]{8})$/;

export function formatPosition({ run, event, item, tag }: Position): string {
  return `${pad(run, RUN_DIGITS)}-${pad(event, EVENT_DIGITS)}-${pad(item, ITEM_DIGITS)}-${tag}`;
}

/** @throws CursorMalformedError */
export function parsePosition(cursor: string): Position {
  const [, run, event, item, tag] = FORMAT.exec(cursor) ?? [];
  if (run === undefined || event === undefined || item === undefined || tag === undefined) {
    throw new CursorMalformedError(cursor);
  }
  return { run: Number(run), event: Number(event), item: Number(item), tag };
}

/** Negative, zero or positive, as `Array.prototype.sort` wants it. Tags do not count. */
export function comparePositions(left: string, right: string): number {
  const a = left.slice(0, ORDER_LENGTH);
  const b = right.slice(0, ORDER_LENGTH);
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** A position that sorts before everything a history event contributes. For comparisons only. */
export function startOfEvent(run: number, event: number): string {
  return formatPosition({ run, event, item: 0, tag: '00000000' });
}

/** The end of a run id: its beginning is a timestamp that neighbours share. */
export function runTag(runId: string): string {
  return runId.replaceAll('-', '').slice(-8).padStart(8, '0');
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}
