/**
 * Packets that the Apache parent sends on the command socket (docs/architecture.md): fields of
 * UTF-8 text, each ended by NUL, the first one the verb.
 */
import { TsgiError } from '../errors.ts';
import type { ScriptSet } from '../ipc/messages.ts';
import type { Limits } from './recycling.ts';

/** What `TSGIDaemonProcess` said. Times in ms. */
export interface GroupOptions {
  readonly name: string;
  /** 32 hex digits. */
  readonly generation: string;
  /** 64 hex digits. */
  readonly secret: string;
  readonly processes: number;
  readonly concurrency: number;
  /** 0: as many as a worker can bear. */
  readonly maxUpgrades: number;
  /** 0: for ever. */
  readonly upgradeIdleTimeoutMs: number;
  /** The uid under which Apache's children connect; root may as well. */
  readonly peerUid: number;
  readonly home?: string;
  readonly node: string;
  readonly nodeArgs: readonly string[];
  readonly scriptArgs: readonly string[];
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly envFile?: string;
  /** With %{GROUP} not yet replaced. */
  readonly displayName?: string;
  readonly startupTimeoutMs: number;
  readonly gracefulTimeoutMs: number;
  /** For workers that are told to go from outside; gracefulTimeoutMs: by a limit of their own. */
  readonly evictionTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  /** A worker that gives no sign of life so long is killed; 0: never. */
  readonly deadlockTimeoutMs: number;
  /** Workers are replaced when their script changes. */
  readonly isReloading: boolean;
  /** Where Apache serves the group: what PORT is to its apps. */
  readonly port: number;
  /** The port of the listen() that is the app; undefined: the first one, whatever its port. */
  readonly listenPort?: number;
  /** When a worker is ready: its app listens, or has said so as well. */
  readonly ready: 'listen' | 'message';
  readonly reload: 'rolling' | 'all';
  /** Patterns of further files to watch. */
  readonly watch: readonly string[];
  /** When workers are recycled. */
  readonly limits: Limits;
  /** `[host:]port`, or 'on' for Node's own default. */
  readonly inspect?: string;
  readonly lang?: string;
  readonly locale?: string;
}

export interface GroupCommand {
  readonly verb: 'group';
  readonly options: GroupOptions;
  /** Listening; there Apache asks how workers died. The receiver owns it. */
  readonly inquestFd: number | undefined;
}

export interface AppCommand {
  readonly verb: 'app';
  readonly application: string;
  readonly slots: number;
  readonly start: 'boot' | 'on-demand';
  readonly scripts: ScriptSet;
  /** The listening sockets in slot order; empty when they came earlier. The receiver owns them. */
  readonly fds: readonly number[];
}

export interface PlainCommand {
  readonly verb: 'successor' | 'apps-end' | 'drain' | 'shutdown';
}

export type Command = GroupCommand | AppCommand | PlainCommand;

const MAX_SLOTS = 1024;

function malformed(reason: string): TsgiError {
  return new TsgiError(502, { reason });
}

/** @returns the NUL-ended fields of a packet. */
function splitFields(packet: Buffer): string[] {
  if (packet.length === 0 || packet[packet.length - 1] !== 0) {
    throw malformed('it does not end with NUL');
  }
  return packet.toString('utf8', 0, packet.length - 1).split('\0');
}

/** The `key=value` fields of a `group` packet: the last one of a key counts, some repeat. */
class Keys {
  readonly #values = new Map<string, string[]>();

  constructor(fields: readonly string[]) {
    for (const text of fields) {
      const at = text.indexOf('=');
      if (at <= 0) throw malformed(`expected key=value, came ${JSON.stringify(text)}`);
      const key = text.slice(0, at);
      const values = this.#values.get(key) ?? [];
      values.push(text.slice(at + 1));
      this.#values.set(key, values);
    }
  }

  all(key: string): readonly string[] {
    return this.#values.get(key) ?? [];
  }

  /** @returns undefined where the key is missing or empty. */
  text(key: string): string | undefined {
    const value = this.all(key).at(-1);
    return value === '' ? undefined : value;
  }

  integer(key: string, fallback: number, least: number, most: number): number {
    const value = this.text(key);
    if (value === undefined) return fallback;
    const number = /^\d{1,15}$/.test(value) ? Number(value) : NaN;
    if (!(number >= least && number <= most)) {
      throw malformed(`${key} is ${value}, expected ${String(least)} to ${String(most)}`);
    }
    return number;
  }
}

function parseEnvironment(entries: readonly string[]): (readonly [string, string])[] {
  return entries.map((entry) => {
    const at = entry.indexOf('=');
    if (at <= 0) throw malformed(`env=${entry} is no NAME=value`);
    return [entry.slice(0, at), entry.slice(at + 1)] as const;
  });
}

/** Leaves out what is undefined, as exactOptionalPropertyTypes wants it. */
function optional<K extends string>(key: K, value: string | undefined): Partial<Record<K, string>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, string>);
}

/** `first` or `port:N`. */
function parseListen(value: string | undefined): Pick<GroupOptions, 'listenPort'> {
  if (value === undefined || value === 'first') return {};
  const port = /^port:(\d{1,5})$/.exec(value)?.[1];
  if (port === undefined) throw malformed(`listen is ${value}, expected first or port:N`);
  return { listenPort: Number(port) };
}

function parseLimits(keys: Keys): Limits {
  const limit = (key: string): number => keys.integer(key, 0, 0, Number.MAX_SAFE_INTEGER);
  return {
    maximumRequests: limit('maximum-requests'),
    restartIntervalMs: limit('restart-interval'),
    jitter: keys.integer('jitter', 10, 0, 100) / 100,
    inactivityMs: limit('inactivity-timeout'),
    memory: limit('memory-limit'),
    cpuMs: limit('cpu-time-limit'),
  };
}

function parseGroup(fields: readonly string[], fds: readonly number[]): GroupCommand {
  const [name, generation, secret, ...rest] = fields;
  if (name === undefined || name === '') throw malformed('group has no name');
  if (!/^[0-9a-f]{32}$/.test(generation ?? '')) throw malformed('generation is not 32 hex digits');
  if (!/^[0-9a-f]{64}$/.test(secret ?? '')) throw malformed('secret is not 64 hex digits');
  if (fds.length > 1) throw malformed('group came with more than one socket');
  const keys = new Keys(rest);
  const day = 86_400_000;
  const gracefulTimeoutMs = keys.integer('graceful-timeout', 15_000, 0, day);
  return {
    verb: 'group',
    inquestFd: fds[0],
    options: {
      name,
      generation: generation ?? '',
      secret: secret ?? '',
      processes: keys.integer('processes', 1, 1, MAX_SLOTS),
      concurrency: keys.integer('concurrency', 64, 1, 1_000_000),
      maxUpgrades: keys.integer('max-upgrades', 0, 0, 1_000_000),
      upgradeIdleTimeoutMs: keys.integer('upgrade-idle-timeout', 0, 0, 365 * day),
      peerUid: keys.integer('peer-uid', -1, 0, 0xffff_fffe),
      node: keys.text('node') ?? process.execPath,
      nodeArgs: keys.all('node-arg'),
      scriptArgs: keys.all('script-arg'),
      env: parseEnvironment(keys.all('env')),
      startupTimeoutMs: keys.integer('startup-timeout', 15_000, 1, day),
      gracefulTimeoutMs,
      evictionTimeoutMs: keys.integer('eviction-timeout', gracefulTimeoutMs, 0, day),
      shutdownTimeoutMs: keys.integer('shutdown-timeout', 5_000, 0, day),
      deadlockTimeoutMs: keys.integer('deadlock-timeout', 60_000, 0, day),
      isReloading: keys.text('script-reloading') === 'on',
      port: keys.integer('port', 80, 1, 65_535),
      ...parseListen(keys.text('listen')),
      ready: keys.text('ready') === 'message' ? 'message' : 'listen',
      reload: keys.text('reload') === 'all' ? 'all' : 'rolling',
      watch: keys.all('watch'),
      limits: parseLimits(keys),
      ...optional('home', keys.text('home')),
      ...optional('envFile', keys.text('env-file')),
      ...optional('displayName', keys.text('display-name')),
      ...optional('inspect', keys.text('inspect')),
      ...optional('lang', keys.text('lang')),
      ...optional('locale', keys.text('locale')),
    },
  };
}

function parseApp(fields: readonly string[], fds: readonly number[]): AppCommand {
  const [application, count, start, mode, ...paths] = fields;
  const slots = /^\d{1,4}$/.test(count ?? '') ? Number(count) : 0;
  if (application === undefined) throw malformed('app has no name');
  if (slots < 1 || slots > MAX_SLOTS)
    throw malformed(`app ${application} has ${String(count)} slots`);
  if (start !== 'boot' && start !== 'on-demand') {
    throw malformed(`app ${application} starts ${JSON.stringify(start)}`);
  }
  if (mode !== 'exact' && mode !== 'pattern') {
    throw malformed(`app ${application} has mode ${JSON.stringify(mode)}`);
  }
  if (paths.length === 0 || !paths.every((path) => path.startsWith('/'))) {
    throw malformed(`app ${application} has no absolute paths`);
  }
  if (fds.length !== 0 && fds.length !== slots) {
    throw malformed(
      `app ${application} has ${String(slots)} slots and ${String(fds.length)} sockets`,
    );
  }
  const scripts: ScriptSet = mode === 'exact' ? { mode, paths } : { mode, roots: paths };
  return { verb: 'app', application, slots, start, scripts, fds };
}

/**
 * @param packet one message; @param fds what came with it.
 * @throws TsgiError 0502; the fds are then still the caller's to close.
 */
export function parseCommand(packet: Buffer, fds: readonly number[]): Command {
  const [verb = '', ...fields] = splitFields(packet);
  if (verb === 'app') return parseApp(fields, fds);
  if (verb === 'group') return parseGroup(fields, fds);
  if (fds.length > 0) throw malformed(`${verb} came with sockets`);
  switch (verb) {
    case 'successor':
    case 'apps-end':
    case 'drain':
    case 'shutdown':
      return { verb };
    default:
      throw malformed(`unknown verb ${JSON.stringify(verb)}`);
  }
}
