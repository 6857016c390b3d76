/** A row of the matrix: a framework, and how what it can do is checked. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where an app is served, and where it lies. */
export interface Served {
  readonly port: number;
  readonly dir: string;
}

/** Resolves if the app does it. @throws Error that says what it does instead. */
export type Check = (served: Served) => Promise<void>;

export const CAPABILITIES = ['page', 'asset', 'POST', 'upload', 'stream', 'WebSocket'] as const;
export type Capability = (typeof CAPABILITIES)[number];

export interface Framework {
  /** Its directory beside this file; the process group as well. */
  readonly name: string;
  readonly title: string;
  /** The npm package whose version is shown; Node.js itself if it is empty. */
  readonly package: string;
  /** The framework whose sources are the base; files of its own directory replace them. */
  readonly basedOn?: string;
  /** What its documentation says to run in production. */
  readonly entry: string;
  /** Options of TSGIDaemonProcess that it needs. `@ORIGIN@` is what browsers call the site. */
  readonly options?: string;
  /** Further directives that it needs, a line each. */
  readonly directives?: readonly string[];
  /** The oldest major version of Node.js, if newer than the one that mod_tsgi needs. */
  readonly node?: number;
  /** What it says on stderr though nothing is wrong. */
  readonly says?: RegExp;
  /** Where something answers, whatever it says. */
  readonly probe?: string;
  /** What it does not have is not there. */
  readonly checks: Readonly<Partial<Record<Capability, Check>>>;
}

/** Directories with the sources of an app, the base first. */
export function sourcesOf({ name, basedOn }: Framework): string[] {
  return [basedOn, name]
    .filter((part) => part !== undefined)
    .map((part) => join(import.meta.dirname, part))
    .filter((dir) => existsSync(dir));
}

/** The name of its directory in build/frameworks: one without sources of its own shares its base's. */
export function directoryOf({ name, basedOn = name }: Framework): string {
  return existsSync(join(import.meta.dirname, name)) ? name : basedOn;
}

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** All versions that an app pins. */
export function pinnedBy(framework: Framework): Readonly<Record<string, string>> {
  const files = sourcesOf(framework).map((dir) => join(dir, 'package.json'));
  const manifest = files.filter((file) => existsSync(file)).at(-1);
  if (manifest === undefined) throw new Error(`${framework.name} has no package.json`);
  const { dependencies, devDependencies } = JSON.parse(readFileSync(manifest, 'utf8')) as Manifest;
  return { ...dependencies, ...devDependencies };
}

/** The version that is shown; '' for Node.js itself. */
export function versionOf(framework: Framework): string {
  if (framework.package === '') return '';
  const version = pinnedBy(framework)[framework.package];
  if (version === undefined) throw new Error(`${framework.name} does not pin ${framework.package}`);
  return version;
}

/** The configuration of a framework whose app lies in `dir`. */
export function configurationOf(framework: Framework, dir: string, origin: string): string {
  const { name, entry, options, directives = [] } = framework;
  const all = ['env=NODE_ENV=production', ...(options === undefined ? [] : [options])].join(' ');
  return `TSGIDaemonProcess ${name} home=${dir} ${all.replaceAll('@ORIGIN@', origin)}
TSGIScriptAlias / ${dir}/${entry} process-group=${name}
${directives.map((line) => `${line}\n`).join('')}`;
}
