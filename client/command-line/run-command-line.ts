import { Command, CommanderError, Option } from 'commander';
import { addCodecCommands } from './codec-commands.ts';
import { type RegisterWith, runCommand, runLocalCommand, type Streams } from './command-context.ts';
import { addCredentialCommands } from './credential-commands.ts';
import { EXIT } from './failure.ts';
import { addFilesCommands } from './files-commands.ts';
import { addReadCommands } from './read-commands.ts';
import { addRegistryCommands } from './registry-commands.ts';
import { addTalkCommands } from './talk-commands.ts';
import { addVaultCommands } from './vault-commands.ts';

/** Runs one command. Returns the exit code: 0, 1 when it failed, 2 when it was typed wrong. */
export async function runCommandLine(
  args: readonly string[],
  name: string,
  streams: Streams,
): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = createProgram(name, streams);
  const registerWith =
    <Context>(runIn: RunIn<Context>): RegisterWith<Context> =>
    (command, run) => {
      command.action(async (...given: unknown[]) => {
        const count = command.registeredArguments.length;
        exitCode = await runIn(command, streams, (context) =>
          run(context, given.slice(0, count) as never, command.opts() as never),
        );
      });
    };
  const register = registerWith(runCommand);
  addTalkCommands(program, register);
  addReadCommands(program, register);
  addRegistryCommands(program, register, 'agents');
  addRegistryCommands(program, register, 'environments');
  addFilesCommands(program, register);
  const registerLocal = registerWith(runLocalCommand);
  addVaultCommands(program, registerLocal);
  addCredentialCommands(program, registerLocal);
  addCodecCommands(program, registerLocal);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
}

type RunIn<Context> = (
  command: Command,
  streams: Streams,
  run: (context: Context) => Promise<number>,
) => Promise<number>;

function createProgram(name: string, { stdout, stderr }: Streams): Command {
  return new Command(name)
    .description('Talk to long-running agents on Temporal.')
    .option('--address <host:port>', 'Temporal server (default: TEMPORAL_ADDRESS, the profile)')
    .option('-n, --namespace <namespace>', 'Temporal namespace')
    .option('--profile <profile>', 'profile of the Temporal configuration file')
    .option('--task-queue <queue>', 'queue that the workers poll (default: drover)')
    .addOption(
      new Option('-o, --output <format>', 'how results are printed')
        .choices(['text', 'json'])
        .default('text'),
    )
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: (text, write) => write(`${text.trimEnd()} (see ${name} --help)\n`),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
}
