/** A private Apache, with the same settings for every contender, and what may run behind it. */
import type { ChildProcess } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { Httpd } from '../../test/harness/httpd.ts';
import type { Process } from '../../test/harness/processes.ts';
import { end, killGroupAtEnd, removeAtEnd } from '../ending.ts';
import { tree } from '../proc.ts';
import { certificateIn } from './certificate.ts';
import { split, urlOf, type Running, type Setting } from './running.ts';

const LIMITS = `StartServers 2
ServerLimit 2
ThreadsPerChild 64
ThreadLimit 64
MaxRequestWorkers 128
MinSpareThreads 1
MaxSpareThreads 128
MaxKeepAliveRequests 0
KeepAliveTimeout 60
LimitRequestBody 0
`;

/**
 * What httpd may say under load: that all its threads are busy; of the certificate, and that there is no cache of
 * sessions; and of generators that leave in the middle of a request.
 */
const EXPECTED =
  /AH0048[45]|AH01906|AH01909|AH02217|AH02218|AH02604|AH01873|AH01882|AH10291|AH02811/;

/** What makes a server out of Apache. */
export interface Apache {
  readonly modules?: readonly string[];
  /** `@ROOT@` is the server's directory, `@BACKEND@` its backend's socket. */
  config(setting: Setting): string;
  /** Below the document root. */
  readonly files?: Readonly<Record<string, string>>;
  /** Other modules log what they like. */
  readonly tsgi?: boolean;
  /** Starts what runs behind it. */
  backend?(setting: Setting, socket: string): ChildProcess;
  /** Tells processes below Apache that are not Apache's. */
  isBack?(process: Process): boolean;
}

function tls({ transport }: Setting, directory: string): { modules: string[]; config: string } {
  if (transport === 'http') return { modules: [], config: '' };
  const { certificate, key } = certificateIn(directory);
  const config = `SSLEngine On
SSLCertificateFile "${certificate}"
SSLCertificateKeyFile "${key}"
SSLSessionCache none
`;
  return transport === 'h2'
    ? { modules: ['ssl', 'http2'], config: `${config}Protocols h2 http/1.1\n` }
    : { modules: ['ssl'], config };
}

/**
 * Starts Apache and what is behind it.
 * @param directory of the run, for what all servers share
 */
export async function serveByApache(
  apache: Apache,
  setting: Setting,
  directory: string,
): Promise<Running> {
  const secure = tls(setting, directory);
  const httpd = await Httpd.prepare({
    modules: [...secure.modules, ...(apache.modules ?? [])],
    logLevel: 'warn',
    accessLog: false,
    tsgi: apache.tsgi === true,
    limits: LIMITS,
    node: setting.node,
    config: (secure.config + apache.config(setting)).replaceAll('@BACKEND@', '@ROOT@/apps/socket'),
  });
  httpd.log.allow(apache.tsgi === true ? EXPECTED : /./);
  for (const [name, text] of Object.entries(apache.files ?? {})) {
    writeFileSync(`${httpd.dir}/htdocs/${name}`, text);
  }
  chmodSync(`${httpd.dir}/apps`, 0o777);
  removeAtEnd(httpd.dir);
  const startedAt = performance.now();
  const backend = apache.backend?.(setting, `${httpd.dir}/apps/socket`);
  const stop = async (): Promise<void> => {
    try {
      await httpd.stop();
    } finally {
      release();
      if (backend) await end(backend);
    }
  };
  let release = (): void => undefined;
  try {
    await httpd.start();
    release = killGroupAtEnd(httpd.pid);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    startedAt,
    url: urlOf(setting, httpd.port),
    processes() {
      const { front, back } = split([httpd.pid], (p) => apache.isBack?.(p) === true);
      const behind = backend?.pid === undefined ? [] : tree(backend.pid).map(({ pid }) => pid);
      return { front, back: [...back, ...behind] };
    },
    stop,
  };
}
