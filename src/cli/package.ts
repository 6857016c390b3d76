/** Where the parts of the installed package lie. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TsgiError } from '../errors.ts';

/** The files of one installation of mod_tsgi. */
export interface PackagePlace {
  readonly root: string;
  readonly version: string;
  /** The Apache module. The files that it loads lie beside it. */
  readonly module: string;
  /** The Node.js addon. */
  readonly addon: string;
}

function readVersion(file: string): string {
  const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (typeof parsed === 'object' && parsed !== null && 'version' in parsed) {
    return String(parsed.version);
  }
  throw new TypeError(`${file} has no version`);
}

/** The directory of the package that a file (as a URL) belongs to. */
export function findPackageRoot(url: string): string {
  let directory = dirname(fileURLToPath(url));
  while (!existsSync(join(directory, 'package.json')) && directory !== '/') {
    directory = dirname(directory);
  }
  return directory;
}

/** Describes the package in a directory, whether or not it has been built. */
export function locatePackage(directory: string): PackagePlace {
  const root = resolve(directory);
  return {
    root,
    version: readVersion(join(root, 'package.json')),
    module: join(root, 'dist/mod_tsgi.so'),
    addon: join(root, 'dist/tsgi.node'),
  };
}

/** @throws TsgiError 900 naming the first part that has not been built. */
export function requireBuilt(place: PackagePlace): void {
  for (const file of [place.module, place.addon]) {
    if (!existsSync(file)) throw new TsgiError(900, { file });
  }
}
