/** The environment of a group's workers: the supervisor's own, env-file=, env=, and what is ours. */
import { readFileSync } from 'node:fs';
// eslint-disable-next-line n/no-unsupported-features/node-builtins -- stable in effect since 20.12
import { parseEnv } from 'node:util';
import { isAbsolute } from 'node:path';
import { errorLine, TsgiError } from '../errors.ts';
import { whyUnsafe } from '../private-directory.ts';
import type { GroupOptions } from './commands.ts';

export type Environment = Readonly<Record<string, string>>;

/** What the Apache parent made for the group's user; nothing else is passed on. */
const INHERITED = ['HOME', 'USER', 'LOGNAME', 'SHELL', 'PATH', 'LANG', 'LC_ALL', 'TZ'];

/** Apps and packages that look at nothing else run as they do for their users, not as for their authors. */
const USUAL_ENVIRONMENT = 'production';

/**
 * What all workers of a group share. Reads env-file= each time, as the group's user.
 * @throws TsgiError 0503 if that cannot be read.
 */
export function readGroupEnvironment(
  options: GroupOptions,
  inherited: NodeJS.ProcessEnv,
  readFile: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): Environment {
  const environment: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = inherited[name];
    if (value !== undefined) environment[name] = value;
  }
  if (options.lang !== undefined) environment['LANG'] = options.lang;
  if (options.locale !== undefined) environment['LC_ALL'] = options.locale;
  if (options.envFile !== undefined) {
    Object.assign(environment, readEnvFile(options.envFile, environment, readFile));
  }
  for (const [name, value] of options.env) environment[name] = value;
  return environment;
}

function readEnvFile(
  file: string,
  environment: Environment,
  readFile: (path: string) => string,
): NodeJS.Dict<string> {
  try {
    return parseEnv(readFile(file));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const user = environment['USER'] ?? `uid ${String(process.getuid?.())}`;
    throw new TsgiError(503, { file, user, reason }, { cause: error });
  }
}

/**
 * Node runs what it finds in NODE_COMPILE_CACHE, so the directory has to be the user's alone. Makes it
 * if it is not there; without such a one the variable is left out.
 */
export function withPrivateCompileCache(
  environment: Environment,
  onUnsafe: (text: string) => void,
): Environment {
  const { NODE_COMPILE_CACHE: directory = '', ...rest } = environment;
  if (directory === '') return environment;
  const reason = isAbsolute(directory) ? whyUnsafe(directory) : 'is no absolute path';
  if (reason === undefined) return environment;
  onUnsafe(errorLine(632, { directory, reason }));
  return rest;
}

/**
 * What one worker adds. Settings of PORT, of NODE_ENV and of tsx that are there stand.
 * @param port where the app is told to listen.
 */
export function workerEnvironment(
  shared: Environment,
  group: string,
  application: string,
  slot: number,
  loaderOptions: readonly string[],
  port: number,
): Environment {
  const customLoaders = [shared['NODE_OPTIONS'] ?? '', ...loaderOptions];
  return {
    PORT: String(port),
    NODE_ENV: USUAL_ENVIRONMENT,
    // Loaders that the operator registers run in a thread with its own idea of the environment,
    // so tsx cannot be given a private cache directory there later: it goes without a cache.
    ...(customLoaders.some((text) =>
      /--(import|loader|experimental-loader|require)\b|^-r/.test(text),
    ) && {
      TSX_DISABLE_CACHE: '1',
    }),
    ...shared,
    TSGI_HOSTED: '1',
    TSGI_PROCESS_GROUP: group,
    TSGI_APPLICATION_GROUP: application,
    NODE_APP_INSTANCE: String(slot),
  };
}
