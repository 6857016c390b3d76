/** What the chaos suite shakes: one httpd with test/apps/chaos.js in a group named `site`, and a static file. */
import { copyFileSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Httpd, type Mpm } from '../harness/httpd.ts';
import { app, place } from '../harness/place.ts';
import { fdsOf, processOf, type Process } from '../harness/processes.ts';
import { AppRecord } from '../harness/record.ts';
import { waitFor } from '../harness/wait.ts';

export interface SiteOptions {
  readonly mpm?: Mpm;
  /** Options of TSGIDaemonProcess beside `processes=2`. */
  readonly group?: string;
  readonly processes?: number;
  /** More configuration. */
  readonly config?: string;
  /** Instead of three children with 64 threads each. */
  readonly limits?: string;
  /** TSGINode. */
  readonly node?: string;
  /** Further variables for httpd. */
  readonly environment?: Readonly<NodeJS.ProcessEnv>;
}

/**
 * So many children of 64 threads, with room for those of earlier generations of httpd, which end late. httpd replaces
 * one that dies when fewer than `spareThreads` are idle.
 */
export const limits = (children: number, spareThreads = 64): string => `ServerLimit 32
StartServers ${children}
ThreadsPerChild 64
ThreadLimit 64
MinSpareThreads ${spareThreads}
MaxSpareThreads ${children * 64}
MaxRequestWorkers ${children * 64}
`;
/** A group may hold half of the threads by default; 64 clients need 64. */
const LIMITS: Readonly<Record<Mpm, string>> = {
  event: limits(3),
  worker: limits(3),
  prefork:
    'ServerLimit 512\nStartServers 80\nMinSpareServers 16\nMaxSpareServers 128\nMaxRequestWorkers 192\n',
};

/** httpd's own remarks about signals, and about children that are killed or late. */
const HTTPD_REMARKS =
  /AH10392|AH00052|AH00051|AH0028[678]|AH00161|AH0048[45]|AH00046|AH10159|AH03490/;

export const STATIC_SIZE = 1024;

export class Site {
  readonly httpd: Httpd;
  readonly record: AppRecord;
  readonly options: SiteOptions;

  private constructor(httpd: Httpd, options: SiteOptions) {
    this.httpd = httpd;
    this.options = options;
    this.record = new AppRecord(this.recordPath);
  }

  /** Starts it; resolves when all workers are ready. */
  static async start(options: SiteOptions = {}): Promise<Site> {
    const mpm = options.mpm ?? 'event';
    const httpd = await Httpd.prepare({
      config: '',
      mpm,
      limits: options.limits ?? LIMITS[mpm],
      accessLog: false,
      ...(options.node === undefined ? {} : { node: options.node }),
      ...(options.environment === undefined ? {} : { environment: options.environment }),
    });
    const site = new Site(httpd, options);
    try {
      copyFileSync(app('chaos.js'), site.script);
      writeFileSync(join(httpd.dir, 'htdocs/static.txt'), 's'.repeat(STATIC_SIZE));
      httpd.log.allow(HTTPD_REMARKS);
      httpd.configure(site.config());
      await httpd.start();
      await site.settled();
    } catch (error) {
      await site.stop().catch(() => undefined);
      throw error;
    }
    return site;
  }

  /** @throws Error for a process that stays behind, or a line in the log that nobody announced. */
  async stop(): Promise<void> {
    await this.httpd.stop();
  }

  get count(): number {
    return this.options.processes ?? 2;
  }

  get script(): string {
    return join(this.httpd.dir, 'apps/site.js');
  }

  get recordPath(): string {
    return join(this.httpd.dir, 'apps/begun');
  }

  /** The configuration; `config` instead of what the options have. */
  config(config = this.options.config ?? ''): string {
    return `
${config}
TSGIDaemonProcess site processes=${String(this.count)} ${this.#environment} ${this.options.group ?? ''}
TSGIScriptAlias /site @ROOT@/apps/site.js process-group=site
`;
  }

  /** A further group that serves the same app, at /<path>. */
  groupOf(name: string, path: string, options = ''): string {
    return `
TSGIDaemonProcess ${name} ${this.#environment} ${options}
TSGIScriptAlias /${path} @ROOT@/apps/site.js process-group=${name}
`;
  }

  get #environment(): string {
    return `env=CHAOS_FILE=@ROOT@/apps/begun env=CHAOS_PACKAGE=${join(place(), 'dist/index.js')}`;
  }

  workers(group = 'site'): Process[] {
    return this.httpd.processes(new RegExp(`^tsgi: worker ${group}/`));
  }

  supervisors(group = 'site'): Process[] {
    return this.httpd.processes(new RegExp(`^tsgi: supervisor ${group}$`));
  }

  /** Apache's children that serve. */
  children(): Process[] {
    return this.httpd
      .children()
      .map(processOf)
      .filter((child) => child !== undefined);
  }

  /** Everything of ours below httpd. */
  ours(): Process[] {
    return this.httpd.processes(/^tsgi:/);
  }

  /** Workers that have said that they are ready and were not told to finish. */
  ready(group = 'site'): number[] {
    const { ready, drains } = this.record.refresh();
    const told = new Set(drains.map(({ pid }) => pid));
    const said = new Set(ready.map(({ pid }) => pid));
    return this.workers(group)
      .map(({ pid }) => pid)
      .filter((pid) => said.has(pid) && !told.has(pid));
  }

  /** All workers are ready. */
  async settled(timeoutMs = 45_000): Promise<void> {
    await waitFor(() => this.ready().length >= this.count, { what: 'ready workers', timeoutMs });
  }

  /** Waits until so many more lines of the error log match than at `since`. */
  async logged(pattern: RegExp, count = 1, timeoutMs = 20_000): Promise<void> {
    await waitFor(() => this.httpd.log.matching(pattern).length >= count, {
      what: `${String(count)} lines of ${pattern.source}`,
      timeoutMs,
    });
  }

  #mtime = 1_700_000_000;

  /** As `touch` does, but never twice the same time. */
  touch(): void {
    this.#mtime++;
    utimesSync(this.script, this.#mtime, this.#mtime);
  }

  /** Replaces the app's code; with undefined by the good one. */
  write(code?: string): void {
    writeFileSync(this.script, code ?? readFileSync(app('chaos.js')));
  }
}

/** Whether the process with this pid is still the one that it was. */
export const isAlive = ({ pid, title }: Process): boolean => processOf(pid)?.title === title;

/** Local ports of the clients whose connections this process of Apache holds. */
export function clientPorts(pid: number, port: number): Set<number> {
  const inodes = new Set(
    Object.values(fdsOf(pid)).flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []),
  );
  const lines = readFileSync(`/proc/${String(pid)}/net/tcp`, 'latin1')
    .split('\n')
    .slice(1);
  const portOf = (address = '') => parseInt(address.split(':')[1] ?? '', 16);
  return new Set(
    lines
      .map((line) => line.trim().split(/\s+/))
      .filter((field) => portOf(field[1]) === port && inodes.has(field[9] ?? ''))
      .map((field) => portOf(field[2])),
  );
}
