/** Evaluates a script, as the main module or as one of several, and reads what it exports. */
import Module, { createRequire } from 'node:module';
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { exportsOfCommonJs, exportsOfModule, type Exports } from './find.ts';
import { preloads } from './preloads.ts';
import type { Runner } from './typescript.ts';

const { cache } = createRequire(__filename);

interface ModuleInternals {
  runMain(path: string): void;
  _load(path: string, parent: null, isMain: boolean): unknown;
}
const internals = Module as unknown as ModuleInternals;

/**
 * With --import or --loader, runMain() comes to the entry only after some turns, and an import()
 * of ours that came first would make the entry a module that is not the main one. Imports through
 * loaders are answered in order, so one more round trip than runMain() takes is enough.
 */
async function letRunMainGoFirst(): Promise<void> {
  const loaders = preloads().filter(({ kind }) => kind !== 'require').length;
  if (loaders === 0) return;
  for (let turn = 0; turn <= loaders + 1; turn++) {
    await import(`data:text/javascript,//${String(turn)}`);
  }
}

/**
 * runMain() of Node 20 hands .mts to the CommonJS loader; so does a later one whose type stripping
 * is off. tsx would compile top-level await there, and fail.
 */
function isMissedByRunMain(path: string, runner: Runner): boolean {
  return runner === 'tsx' && extname(path) === '.mts';
}

/** Whether a module of CommonJS has run, and has not turned out to be an ES module instead. */
function isSurelyCommonJs(module: NodeJS.Module | undefined): module is NodeJS.Module {
  if (module?.loaded !== true) return false;
  const exported: unknown = module.exports;
  if (typeof exported !== 'object' || exported === null) return true;
  return Object.keys(exported).length > 0 || Object.getPrototypeOf(exported) !== Object.prototype;
}

async function readExports(path: string): Promise<Exports> {
  const module = cache[path];
  if (isSurelyCommonJs(module)) return exportsOfCommonJs(module.exports);
  // The same instance that runMain() loads, since the URL is the same; waits for top-level await.
  const namespace = (await import(pathToFileURL(path).href)) as object;
  // A .js file without "type" that holds ES module syntax leaves an empty CommonJS module behind.
  const { default: exported } = namespace as { default?: unknown };
  const loaded = cache[path];
  return loaded && loaded.exports === exported
    ? exportsOfCommonJs(exported)
    : exportsOfModule(namespace);
}

/** Lets an error end the process, or reach the app's own handlers, as one that nothing caught. */
function throwUncaught(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}

/**
 * Runs a script as `node script` does. What it throws reaches the process as an uncaught exception,
 * as it would without us; the promise then never settles.
 * @param path its real path.
 * @returns its exports when it has been evaluated, top-level await included.
 */
export async function runAsMain(path: string, runner: Runner): Promise<Exports> {
  const isByUs = isMissedByRunMain(path, runner);
  try {
    if (!isByUs) internals.runMain(path);
  } catch (error) {
    throwUncaught(error);
    return new Promise(() => undefined);
  }
  try {
    if (!isByUs && !isSurelyCommonJs(cache[path])) await letRunMainGoFirst();
    return await readExports(path);
  } catch (error) {
    // Of an ES module, runMain() itself has told the process.
    if (isByUs) throwUncaught(error);
    return new Promise(() => undefined);
  }
}

/**
 * Runs a script that shares its worker with others and is loaded at its first request: whatever
 * goes wrong rejects, and the worker lives on.
 */
export async function runAsOneOfMany(path: string): Promise<Exports> {
  try {
    internals._load(path, null, true);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    // Node 20 without require(esm), or top-level await: the import() below runs it.
    if (code !== 'ERR_REQUIRE_ESM' && code !== 'ERR_REQUIRE_ASYNC_MODULE') throw error;
  }
  return readExports(path);
}
