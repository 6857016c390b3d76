/** A row of the matrix: a framework, and how what it can do is checked. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The ways by which an app is asked: HTTP/1.1 without and with TLS, HTTP/2 over TLS, each with the app at the
 * root; and HTTP/1.1 with the app below `BASE`, by `mount=keep` and the framework's own base path.
 */
export const WAYS = ['http', 'https', 'h2', 'keep'] as const;
export type Way = (typeof WAYS)[number];

/** Where `keep` mounts. */
export const BASE = '/shop';
export const baseOf = (way: Way): string => (way === 'keep' ? BASE : '');

/** Where an app is served, and where it lies. */
export interface Served {
  readonly way: Way;
  /** What browsers call the site. */
  readonly origin: string;
  /** Its certificate, under TLS. */
  readonly ca?: Buffer | undefined;
  /** Where the app is mounted; '' at the root. */
  readonly base: string;
  readonly dir: string;
}

/** Resolves if the app does it. @throws Error that says what it does instead. */
export type Check = (served: Served) => Promise<void>;

export const CAPABILITIES = [
  'page',
  'asset',
  'POST',
  'upload',
  'stream',
  'redirect',
  'cookie',
  'WebSocket',
] as const;
export type Capability = (typeof CAPABILITIES)[number];

export interface Framework {
  /** Its directory beside this file; the process group as well. */
  readonly name: string;
  readonly title: string;
  /** The npm package whose version is shown; Node.js itself if it is empty. */
  readonly package: string;
  /** The framework whose sources are the base; files of its own directory replace them. */
  readonly basedOn?: string;
  /** What gives it a base path, as docs/frameworks.md says it. Here it takes it from BASE_PATH. */
  readonly base: string;
  /** Its build must know where it will be mounted: another place needs another build. */
  readonly isBuiltForBase?: boolean;
  /** What its documentation says to run in production. */
  readonly entry: string;
  /** Options of TSGIDaemonProcess that it needs. `@ORIGIN@` is what browsers call the site. */
  readonly options?: string;
  /** Options that it needs in addition where the site speaks http. */
  readonly withoutTls?: string;
  /** NODE_ENV. */
  readonly mode?: 'development';
  /** The group's user writes into its directory. */
  readonly writes?: boolean;
  /** Further directives that it needs, a line each. */
  readonly directives?: readonly string[];
  /** The oldest major version of Node.js, if newer than the one that mod_tsgi needs. */
  readonly node?: number;
  /** Directives that it needs below a base path, `@BASE@`. */
  readonly belowBase?: readonly string[];
  /** What it cannot do below a base path, by `node` alone neither. */
  readonly lacksBelowBase?: readonly Capability[];
  /** What it says on stderr though nothing is wrong. */
  readonly says?: RegExp;
  /** Where something answers, whatever it says. */
  readonly probe?: string;
  /** What it does not have is not there. */
  readonly checks: Readonly<Partial<Record<Capability, Check>>>;
}

/** Browsers open WebSockets by HTTP/1.1 where the server does not say that it takes them by HTTP/2. */
export function isAsked(framework: Framework, way: Way, capability: Capability): boolean {
  if (way === 'h2' && capability === 'WebSocket') return false;
  return baseOf(way) === '' || framework.lacksBelowBase?.includes(capability) !== true;
}

/** By which the apps of this matrix learn where they are mounted, if not at the root. */
export function baseVariable(base: string): Readonly<Record<string, string>> {
  return base === '' ? {} : { BASE_PATH: base };
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
export function configurationOf(
  framework: Framework,
  dir: string,
  origin: string,
  base = '',
): string {
  const { name, entry, options, withoutTls, mode = 'production' } = framework;
  const { directives = [], belowBase = [] } = framework;
  const lines = base === '' ? directives : [...directives, ...belowBase];
  const all = [
    `env=NODE_ENV=${mode}`,
    options,
    origin.startsWith('https:') ? undefined : withoutTls,
    ...Object.entries(baseVariable(base)).map(([key, value]) => `env=${key}=${value}`),
  ].filter((option) => option !== undefined);
  const mount = base === '' ? '' : ' mount=keep';
  return `TSGIDaemonProcess ${name} home=${dir} ${all.join(' ').replaceAll('@ORIGIN@', origin)}
TSGIScriptAlias ${base || '/'} ${dir}/${entry} process-group=${name}${mount}
${lines.map((line) => `${line.replaceAll('@BASE@', base)}\n`).join('')}`;
}
