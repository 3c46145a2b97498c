import type { ProgramEnd } from '../../hand/run-program.ts';
import type { HandTool } from '../../hand/tool.ts';
import { SANDBOX } from './layout.ts';
import { runConfined } from './run-confined.ts';

type Command = readonly [string, ...string[]];

interface Manager {
  /** What an image must have. */
  readonly needs: string;
  /** One after the other. */
  commands(packages: readonly string[]): readonly Command[];
}

/** All install into the home of the user, where commands find what was installed. */
const MANAGERS: Readonly<Record<string, Manager>> = {
  cargo: { needs: 'cargo', commands: (packages) => [['cargo', 'install', ...packages]] },
  gem: {
    needs: 'gem',
    commands: (packages) => [
      [
        'gem',
        'install',
        '--user-install',
        '--no-document',
        '--bindir',
        `${SANDBOX.home}/.local/bin`,
        ...packages,
      ],
    ],
  },
  go: {
    needs: 'go',
    // Of several packages of different modules it takes one at a time.
    commands: (packages) =>
      packages.map((name) => ['go', 'install', name.includes('@') ? name : `${name}@latest`]),
  },
  npm: {
    needs: 'npm',
    commands: (packages) => [
      [
        'npm',
        'install',
        '--global',
        '--prefix',
        `${SANDBOX.home}/.local`,
        '--no-fund',
        '--no-audit',
        '--no-update-notifier',
        ...packages,
      ],
    ],
  },
  pip: {
    needs: 'python3 with pip',
    commands: (packages) => [
      [
        'python3',
        '-m',
        'pip',
        'install',
        '--user',
        '--no-input',
        '--disable-pip-version-check',
        ...packages,
      ],
    ],
  },
};

/** Packages that distributions install go to the user's home all the same. */
const VARIABLES = { PIP_BREAK_SYSTEM_PACKAGES: '1' } as const;

/** Tool of provisioning: `{manager, packages}`. */
export function createInstallTool(variables: NodeJS.ProcessEnv): HandTool {
  return {
    hasEffects: true,
    async run(input, call) {
      const { manager: name, packages } = input as { manager: string; packages: string[] };
      const manager = Object.hasOwn(MANAGERS, name) ? MANAGERS[name] : undefined;
      if (manager === undefined) return failed(`${name} is no manager of packages that is known.`);
      call.onStart();
      for (const command of manager.commands(packages)) {
        const end = await runConfined(command, {
          folder: SANDBOX.home,
          variables: { ...variables, ...VARIABLES },
          call,
        });
        const failure = failureOf(end, name, manager.needs, packages);
        if (failure !== undefined) return failed(failure);
      }
      return { text: `${name} installed ${packages.join(', ')}`, is_error: false };
    },
  };
}

function failureOf(
  end: ProgramEnd,
  name: string,
  needs: string,
  packages: readonly string[],
): string | undefined {
  if (end.type === 'exited' && end.succeeded) return undefined;
  const isMissing = end.type === 'missing' || /No module named '?pip\b/.test(end.said);
  if (isMissing) {
    return (
      `config.packages.${name} needs ${needs}, which the image of this sandbox lacks; name one that ` +
      'has it in config.image.'
    );
  }
  return `${name} could not install ${packages.join(', ')}: ${end.said}`;
}

function failed(text: string): { readonly text: string; readonly is_error: true } {
  return { text, is_error: true };
}
