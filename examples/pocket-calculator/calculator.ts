/** A pocket calculator: it computes as its keys are pressed, one operation at a time. */
export interface Calculator {
  readonly display: string;
  /** What the next `=` or operation is applied to. */
  readonly left: number | null;
  readonly operation: Operation | null;
  readonly memory: number;
  /** The next digit begins a new number. */
  readonly isFresh: boolean;
}

type Operation = '+' | '-' | '*' | '/';

export const NEW_CALCULATOR: Calculator = {
  display: '0',
  left: null,
  operation: null,
  memory: 0,
  isFresh: true,
};

const KEY = /\s*(M\+|MR|MC|[0-9.+\-*/=C])/y;
const MAX_DIGITS = 12;

export class UnknownKeyError extends Error {
  override readonly name = 'UnknownKeyError';
}

/** Presses keys in order. @throws UnknownKeyError before any key is pressed */
export function press(calculator: Calculator, keys: string): Calculator {
  return toKeys(keys).reduce(pressOne, calculator);
}

function toKeys(text: string): string[] {
  const keys: string[] = [];
  KEY.lastIndex = 0;
  const trimmed = text.trim();
  while (KEY.lastIndex < trimmed.length) {
    const at = KEY.lastIndex;
    const key = KEY.exec(trimmed)?.[1];
    if (key === undefined)
      throw new UnknownKeyError(`There is no key "${trimmed.slice(at).trim().slice(0, 10)}".`);
    keys.push(key);
  }
  return keys;
}

function pressOne(calculator: Calculator, key: string): Calculator {
  switch (key) {
    case 'C':
      return { ...NEW_CALCULATOR, memory: calculator.memory };
    case 'M+':
      return { ...calculator, memory: calculator.memory + shown(calculator), isFresh: true };
    case 'MR':
      return { ...calculator, display: toDisplay(calculator.memory), isFresh: true };
    case 'MC':
      return { ...calculator, memory: 0 };
    case '=':
      return { ...equals(calculator), operation: null };
    default:
      if (isOperation(key)) return { ...equals(calculator), operation: key };
      return type(calculator, key);
  }
}

function type(calculator: Calculator, key: string): Calculator {
  const before = calculator.isFresh ? '' : calculator.display;
  const isFull = before.replace('.', '').length >= MAX_DIGITS;
  if (isFull || (key === '.' && before.includes('.'))) return calculator;
  const typed = `${before}${key}`.replace(/^0+(?=\d)/, '').replace(/^\./, '0.');
  return { ...calculator, display: typed, isFresh: false };
}

function equals(calculator: Calculator): Calculator {
  const right = shown(calculator);
  const { left, operation } = calculator;
  const result = left === null || operation === null ? right : compute(left, operation, right);
  return { ...calculator, display: toDisplay(result), left: result, isFresh: true };
}

function compute(left: number, operation: Operation, right: number): number {
  switch (operation) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
  }
}

function isOperation(key: string): key is Operation {
  return ['+', '-', '*', '/'].includes(key);
}

function shown({ display }: Calculator): number {
  return Number(display);
}

function toDisplay(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(MAX_DIGITS))) : 'Error';
}
