/**
 * A program for the kernel (seccomp) by which a sandbox may open sockets of the usual families only.
 * A namespace confines neither AF_VSOCK, which reaches a virtual machine's host, nor the kernel's
 * rarer families. The runtime's own program sees to AF_UNIX and to io_uring, which would open any of
 * them past this one.
 */
export function socketFilter(architecture: string = process.arch): Buffer | undefined {
  const calls = CALLS[architecture];
  return calls === undefined ? undefined : assemble(programFor(calls));
}

interface Calls {
  readonly audit: number;
  readonly socket: number;
  /** Numbers from here on are another interface to the same calls. */
  readonly aliasesFrom?: number;
  /** 32-bit programs, whose `socketcall` hides the family from us. */
  readonly narrow: { readonly audit: number; readonly socket: number; readonly socketcall: number };
}

const CALLS: Readonly<Record<string, Calls>> = {
  x64: {
    audit: 0xc000003e,
    socket: 41,
    aliasesFrom: 0x40000000,
    narrow: { audit: 0x40000003, socket: 359, socketcall: 102 },
  },
  arm64: {
    audit: 0xc00000b7,
    socket: 198,
    narrow: { audit: 0x40000028, socket: 281, socketcall: 102 },
  },
};

/** AF_UNIX, which the runtime refuses in its own words, AF_INET, AF_INET6, AF_NETLINK. */
const FAMILIES = [1, 2, 10, 16];

/** Where the call's data has what. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const FIRST_ARGUMENT = 16;

const ANSWER = { allow: 0x7fff0000, noFamily: 0x00050000 + 97, noCall: 0x00050000 + 38 } as const;
type Label = keyof typeof ANSWER | 'family' | 'wide' | 'narrow';

type Step =
  | { readonly type: 'load'; readonly offset: number }
  | { readonly type: 'equal' | 'atLeast'; readonly value: number; readonly to: Label }
  | { readonly type: 'go'; readonly to: Label }
  | { readonly type: 'label'; readonly name: Label };

function programFor({ audit, socket, aliasesFrom, narrow }: Calls): Step[] {
  const equal = (value: number, to: Label): Step => ({ type: 'equal', value, to });
  return [
    { type: 'load', offset: ARCHITECTURE },
    equal(audit, 'wide'),
    equal(narrow.audit, 'narrow'),
    // Any other architecture: its numbers mean other calls.
    { type: 'go', to: 'noCall' },
    { type: 'label', name: 'wide' },
    { type: 'load', offset: NUMBER },
    ...(aliasesFrom === undefined
      ? []
      : [{ type: 'atLeast', value: aliasesFrom, to: 'noCall' } as const]),
    equal(socket, 'family'),
    { type: 'go', to: 'allow' },
    { type: 'label', name: 'narrow' },
    { type: 'load', offset: NUMBER },
    equal(narrow.socket, 'family'),
    equal(narrow.socketcall, 'noFamily'),
    { type: 'go', to: 'allow' },
    { type: 'label', name: 'family' },
    { type: 'load', offset: FIRST_ARGUMENT },
    ...FAMILIES.map((family) => equal(family, 'allow')),
    { type: 'go', to: 'noFamily' },
  ];
}

const CODE = { load: 0x20, equal: 0x15, atLeast: 0x35, go: 0x05, answer: 0x06 } as const;
const STEP_BYTES = 8;

function assemble(program: readonly Step[]): Buffer {
  const steps = program.filter((step) => step.type !== 'label');
  const places = new Map<Label, number>();
  let place = 0;
  for (const step of program) {
    if (step.type === 'label') places.set(step.name, place);
    else place += 1;
  }
  const answers = Object.entries(ANSWER) as [keyof typeof ANSWER, number][];
  for (const [index, [name]] of answers.entries()) places.set(name, steps.length + index);

  const distance = (label: Label, from: number): number => (places.get(label) ?? 0) - from - 1;
  const encoded = steps.map((step, index) => {
    if (step.type === 'load') return encode(CODE.load, step.offset);
    if (step.type === 'go') return encode(CODE.go, distance(step.to, index));
    return encode(CODE[step.type], step.value, distance(step.to, index));
  });
  return Buffer.concat([...encoded, ...answers.map(([, answer]) => encode(CODE.answer, answer))]);
}

function encode(code: number, value: number, skip = 0): Buffer {
  const bytes = Buffer.alloc(STEP_BYTES);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(skip, 2);
  bytes.writeUInt32LE(value, 4);
  return bytes;
}
