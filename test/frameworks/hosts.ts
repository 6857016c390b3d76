/** What an app is served by: a private Apache, or `node` alone to compare with. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { raw } from '../harness/client.ts';
import { freePort, Httpd } from '../harness/httpd.ts';
import { fdsOf } from '../harness/processes.ts';
import { makeCertificate, tlsHost, tlsModules } from '../harness/tls.ts';
import { waitFor } from '../harness/wait.ts';
import {
  baseOf,
  configurationOf,
  type Check,
  type Framework,
  type Served,
  type Way,
} from './framework.ts';
import type { Column } from './report.ts';

const START_MS = 60_000;
/** Of a log that is shown. */
const MOST_LINES = 12;

export interface Host {
  readonly served: Served;
  /** What only this host can be asked for. */
  readonly checks: readonly (readonly [Column, Check])[];
  /** @throws Error for a process that stays behind, or a line in Apache's log that is a warning. */
  stop(): Promise<void>;
}

/** Makes the app reachable in one of the ways. @throws Error that says why it is not. */
export type Serve = (framework: Framework, dir: string, node: string, way: Way) => Promise<Host>;

/** Inodes of all TCP sockets that listen, of either family. */
function listeningInodes(): Set<string> {
  const lines = ['tcp', 'tcp6'].flatMap((name) =>
    readFileSync(`/proc/net/${name}`, 'latin1').split('\n').slice(1),
  );
  const fields = lines.map((line) => line.trim().split(/\s+/));
  return new Set(fields.filter((field) => field[3] === '0A').map((field) => field[9] ?? ''));
}

class ApacheHost implements Host {
  readonly served: Served;
  readonly checks = [
    ['no port', () => this.#bindsNoPort()],
    ['reload', () => this.#reloads()],
  ] as const;
  readonly #httpd: Httpd;
  readonly #framework: Framework;

  constructor(httpd: Httpd, framework: Framework, served: Served) {
    this.#httpd = httpd;
    this.#framework = framework;
    this.served = served;
  }

  /** By their parent: some apps give themselves another title. */
  #workers(): number[] {
    const all = this.#httpd.processes();
    const supervisors = all.filter(({ title }) => title.startsWith('tsgi: supervisor '));
    return all
      .filter(({ ppid }) => supervisors.some(({ pid }) => pid === ppid))
      .map(({ pid }) => pid);
  }

  async #status(): Promise<number> {
    return (await this.#httpd.ask(this.served.base + (this.#framework.probe ?? '/'))).status;
  }

  /** @throws Error with what the log says if the app cannot be loaded. */
  async expectToServe(): Promise<void> {
    if ((await this.#status()) !== 503) return;
    throw new Error(this.#httpd.log.unexpected().slice(0, MOST_LINES).join('\n'));
  }

  async #bindsNoPort(): Promise<void> {
    await this.#status();
    const listening = listeningInodes();
    const bound = this.#workers().flatMap((pid) =>
      Object.values(fdsOf(pid)).filter((target) =>
        listening.has(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? '-'),
      ),
    );
    expect(this.#workers()).to.have.length(1);
    expect(bound, 'listening sockets of the worker').to.deep.equal([]);
  }

  /** The entry is touched; another worker serves, and no request fails meanwhile. */
  async #reloads(): Promise<void> {
    const expected = await this.#status();
    const before = this.#workers();
    const now = new Date();
    utimesSync(join(this.served.dir, this.#framework.entry), now, now);
    const seen = new Set<number>();
    const isReloaded = async (): Promise<boolean> => {
      seen.add(await this.#status());
      const workers = this.#workers();
      return workers.length === 1 && !before.includes(workers[0] ?? 0);
    };
    await waitFor(isReloaded, { what: 'a fresh worker alone', timeoutMs: START_MS });
    seen.add(await this.#status());
    expect([...seen], 'statuses meanwhile').to.deep.equal([expected]);
  }

  async stop(): Promise<void> {
    await this.#httpd.stop();
  }
}

/** Starts Apache with the two lines of configuration for the app. */
export const serveByApache: Serve = async (framework, dir, node, way) => {
  const isSecure = way === 'https' || way === 'h2';
  const httpd = await Httpd.prepare({ config: '', node, modules: isSecure ? tlsModules : [] });
  const port = isSecure ? await freePort() : httpd.port;
  const origin = `${isSecure ? 'https' : 'http'}://127.0.0.1:${port}`;
  const base = baseOf(way);
  const config = configurationOf(framework, dir, origin, base);
  const protocols = `Protocols ${way === 'h2' ? 'h2 ' : ''}http/1.1\n`;
  httpd.configure(
    config.replace(/$/m, ' startup-timeout=60s') + (isSecure ? protocols + tlsHost(port) : ''),
  );
  const ca = isSecure ? makeCertificate(httpd) : undefined;
  if (framework.says) httpd.log.allow(framework.says);
  const host = new ApacheHost(httpd, framework, { way, origin, ca, base, dir });
  try {
    await httpd.start();
    await host.expectToServe();
  } catch (error) {
    await httpd.stop().catch(() => undefined);
    throw error;
  }
  return host;
};

/** Runs `node entry`, with a port in its environment. */
export const serveAlone: Serve = async (framework, dir, node, way) => {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const base = baseOf(way);
  const configuration = configurationOf(framework, dir, origin, base);
  const variables = [...configuration.matchAll(/\benv=(\w+)=(\S+)/g)];
  const [, args = ''] = /\bscript-args=(\S+)/.exec(configuration) ?? [];
  const child = spawn(node, [join(dir, framework.entry), ...(args === '' ? [] : [args])], {
    cwd: dir,
    env: {
      ...Object.fromEntries(variables.map(([, name = '', value = '']) => [name, value])),
      PATH: process.env['PATH'],
      PORT: String(port),
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(child, 'exit');
  const listens = async (): Promise<boolean> => {
    if (child.exitCode !== null) throw new Error(`exit status ${child.exitCode}`);
    const { socket } = await raw(port, '');
    socket.destroy();
    return true;
  };
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  try {
    await waitFor(listens, { what: `${framework.name} on its port`, timeoutMs: START_MS });
  } catch (error) {
    await stop();
    throw error;
  }
  return { served: { way, origin, base, dir }, checks: [], stop };
};
