/** The `tsgi` command: arguments in, exit status out. */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { TsgiError } from '../errors.ts';
import { buildPackage } from './build.ts';
import { moduleConfig } from './module-config.ts';
import { findPackageRoot, locatePackage } from './package.ts';

/** What the command touches of the process it runs in; tests pass their own. */
export interface CliOptions {
  /** The directory of the installed package. */
  readonly packageRoot?: string;
  /** The Node.js that the printed configuration names. */
  readonly node?: string;
  readonly stdout?: (text: string) => void;
  readonly stderr?: (text: string) => void;
}

/**
 * Runs the command with these arguments (without node and script).
 * @returns the exit status: 0, 1 for a failure, 2 for arguments that are not understood.
 */
export async function main(args: readonly string[], options: CliOptions = {}): Promise<number> {
  const stdout = options.stdout ?? ((text) => process.stdout.write(text));
  const stderr = options.stderr ?? ((text) => process.stderr.write(text));
  const place = locatePackage(options.packageRoot ?? findPackageRoot(import.meta.url));
  const node = options.node ?? process.execPath;

  const program = new Command('tsgi')
    .description('Node.js and TypeScript applications inside Apache httpd')
    .version(place.version, '-V, --version')
    .exitOverride()
    .configureOutput({ writeOut: stdout, writeErr: stderr });
  program
    .command('module-config')
    .description('print the lines that an Apache configuration needs to load mod_tsgi')
    .action(() => {
      stdout(moduleConfig(place, node));
    });
  program
    .command('build')
    .description("build the Apache module and the Node.js addon for this machine's httpd")
    .action(() => {
      buildPackage(place, node);
    });

  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has printed help, version or its complaint already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (!(error instanceof TsgiError)) throw error;
    stderr(`${error.message}\n`);
    return 1;
  }
}

/** True when this file is what node was started with, also through npm's symlink. */
function isMain(): boolean {
  const started = process.argv[1];
  return started !== undefined && realpathSync(started) === fileURLToPath(import.meta.url);
}

if (isMain()) process.exitCode = await main(process.argv.slice(2));
