import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { selfSigned } from '../harness/certificates.ts';
import { Httpd } from '../harness/httpd.ts';
import { place } from '../harness/place.ts';
import { waitFor } from '../harness/wait.ts';
import { cases, type Case } from './cases.ts';
import { Client, type Seen, type Transport } from './client.ts';
import { differences, type Outcome, type View } from './differences.ts';

const configs: Record<Transport, { modules: string[]; config: string }> = {
  http: { modules: [], config: '' },
  tls: {
    modules: ['ssl', 'socache_shmcb'],
    config:
      'SSLEngine on\nSSLCertificateFile "@ROOT@/cert.pem"\nSSLCertificateKeyFile "@ROOT@/key.pem"\n',
  },
  h2: { modules: ['http2'], config: 'Protocols h2c http/1.1\n' },
};
const app = join(import.meta.dirname, 'app.cjs');

/** What is not the same in two runs of the same. */
function normalised(outcome: Outcome, port: number): Outcome {
  return JSON.parse(
    JSON.stringify(outcome).replaceAll(`127.0.0.1:${String(port)}`, '127.0.0.1:PORT'),
  ) as Outcome;
}

type RunningView = View & { isOver?: boolean };

/** Servers that run the app; the request that asks what it has seen goes by plain HTTP/1.1. */
class Target {
  readonly #port: number;
  readonly #transport: Transport;
  readonly #asked: Client;

  constructor(port: number, transport: Transport) {
    this.#port = port;
    this.#transport = transport;
    this.#asked = new Client(port, transport === 'tls' ? 'tls' : 'http');
  }

  close(): void {
    this.#asked.close();
  }

  /** What the app has seen of the request so far; null: nothing. */
  async #view(id: string): Promise<RunningView | null> {
    const path = `/seen?id=${encodeURIComponent(id)}`;
    return JSON.parse((await this.#asked.exchange({ path })).body) as RunningView | null;
  }

  async run(test: Case): Promise<Outcome> {
    const id = encodeURIComponent(test.name);
    const client = new Client(this.#port, this.#transport);
    let seen: Seen;
    try {
      seen = await client.exchange({
        ...test,
        headers: [...(test.headers ?? []), ['X-Case', id]],
        hasBegun: () => waitFor(async () => (await this.#view(id)) !== null),
      });
    } finally {
      client.close();
    }
    const views: (RunningView | null)[] = [];
    await waitFor(
      async () => {
        views[0] = await this.#view(id);
        return views[0]?.isOver !== false;
      },
      { what: 'the end of the request in the app' },
    );
    const view = views[0] ?? null;
    if (view !== null) delete view.isOver;
    return normalised({ seen, view }, this.#port);
  }
}

describe('an app below Apache, beside the same app by itself', function () {
  this.timeout(20_000);
  /** Differences that were needed. */
  const needed = new Set<string>();

  for (const transport of ['http', 'tls', 'h2'] as const) {
    describe(`over ${transport}`, () => {
      let httpd: Httpd;
      let child: ChildProcess;
      let plain: Target;
      let hosted: Target;
      before(async () => {
        const { modules, config } = configs[transport];
        httpd = await Httpd.prepare({
          modules,
          config: `${config}AllowEncodedSlashes NoDecode\nTSGIDaemonProcess site\nTSGIScriptAlias / "${app}" process-group=site\n`,
        });
        if (transport === 'tls') {
          selfSigned(httpd.dir);
        }
        // By itself it speaks TLS, too; HTTP/2 is compared with HTTP/1.1.
        const keys = { TLS_KEY: `${httpd.dir}/key.pem`, TLS_CERT: `${httpd.dir}/cert.pem` };
        child = spawn(process.execPath, [app], {
          stdio: ['ignore', 'pipe', 'inherit'],
          env: { ...process.env, ...(transport === 'tls' ? keys : {}) },
        });
        const [line] = (await once(child.stdout ?? expect.fail('no stdout'), 'data')) as [Buffer];
        plain = new Target(Number(line.toString()), transport === 'tls' ? 'tls' : 'http');
        await httpd.start();
        httpd.log.allow('TSGI0712', 'TSGI0177', 'AH0', 'AH1', 'h2'); // what cases provoke
        hosted = new Target(httpd.port, transport);
      });
      after(async () => {
        plain.close();
        child.kill();
        hosted.close();
        await httpd.stop();
      });

      for (const test of cases) {
        if (test.not?.includes(transport) === true) continue;
        it(`${test.name}: is the same`, async () => {
          const outcomes = [await plain.run(test), await hosted.run(test)];
          const names = expected(test, transport);
          for (const name of names) {
            if (
              !areSame(
                outcomes,
                names.filter((other) => other !== name),
              )
            )
              needed.add(name);
          }
          const [one, other] = outcomes.map((outcome) => without(outcome, names));
          expect(other).to.deep.equal(one);
          expectLength(test, outcomes);
        });
      }
    });
  }

  describe('taken together', () => {
    it('differs as docs/conformance.md says', () => {
      const page = readFileSync(join(place(), 'docs', 'conformance.md'), 'utf8');
      const rows = [...page.matchAll(/^\| (?!what |-)(.*?) \|.*\| (.*?) \|$/gm)];
      expect(rows.map(([, name, reason]) => [name, reason])).to.deep.equal(
        Object.entries(differences).map(([name, { reason }]) => [name, reason]),
      );
    });

    it('differs in nothing that is listed without need', () => {
      expect(Object.keys(differences).filter((name) => !needed.has(name))).to.deep.equal([]);
    });
  });
});

/** A length that the app by itself tells is told below Apache as well. */
function expectLength(test: Case, outcomes: readonly Outcome[]): void {
  const [told, here] = outcomes.map(({ seen: { end, headers } }) =>
    end === 'none' ? undefined : headers.find(([name]) => /^content-length$/i.test(name))?.[1],
  );
  const isLeftOut = test.method === 'HEAD' && told === '0';
  const isOwn = outcomes[1]?.view !== null && outcomes[0]?.seen.end === outcomes[1]?.seen.end;
  if (told !== undefined && !isLeftOut && isOwn) expect(here).to.equal(told);
}

/** The differences that are accepted there. */
function expected(test: Case, transport: Transport): string[] {
  return Object.entries(differences)
    .filter(([, { on }]) => on?.includes(transport) !== false)
    .filter(([, { cases: about }]) => about?.test(test.name) !== false)
    .map(([name]) => name);
}

function without(outcome: Outcome, names: readonly string[]): Outcome {
  return names.reduce((rest, name) => differences[name]?.without(rest) ?? rest, outcome);
}

function areSame(outcomes: readonly Outcome[], names: readonly string[]): boolean {
  const [first, ...others] = outcomes.map((outcome) => JSON.stringify(without(outcome, names)));
  return others.every((text) => text === first);
}
