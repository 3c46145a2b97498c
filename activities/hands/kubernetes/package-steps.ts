import type { EnvironmentDefinition } from '../../../protocol/environment.ts';
import { callStep, type SetupStep } from './hand-setup.ts';

/** One step for each manager that the environment asks for something. */
export function packageSteps({ config }: EnvironmentDefinition): readonly SetupStep[] {
  return wantedPackages(config).map(([manager, packages]) =>
    callStep(`packages of ${manager}`, {
      id: `packages-${manager}`,
      name: 'install_packages',
      input: { manager, packages },
    }),
  );
}

/** By manager, in the order in which they are installed. */
export function wantedPackages(
  config: EnvironmentDefinition['config'],
): readonly (readonly [manager: string, packages: readonly string[]])[] {
  return Object.entries(config?.packages ?? {})
    .flatMap(([manager, packages]) =>
      Array.isArray(packages) && packages.length > 0 ? [[manager, packages] as const] : [],
    )
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
