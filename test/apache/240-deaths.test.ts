import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Answer } from '../harness/client.ts';
import { Httpd } from '../harness/httpd.ts';
import { isRoot, nodeInUse } from '../harness/place.ts';
import { fdsOf, processOf } from '../harness/processes.ts';
import { sanitizedNode } from '../harness/sanitizer.ts';
import { waitFor } from '../harness/wait.ts';

const group = (name: string, options = '') => `
TSGIDaemonProcess ${name} ${options}
<Location /${name}>
  TSGIProcessGroup ${name}
</Location>
TSGIScriptAlias /${name} @APPS@/mortal.js
`;

/** Inodes of the sockets of type SEQPACKET that listen. */
function listeningPackets(): string[] {
  const listens = 0x10000;
  const packets = 5;
  return readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((f) => parseInt(f[4] ?? '', 16) === packets && parseInt(f[3] ?? '', 16) & listens)
    .map((f) => `socket:[${f[6] ?? ''}]`);
}

class Deaths {
  readonly httpd: Httpd;
  constructor(httpd: Httpd) {
    this.httpd = httpd;
  }

  supervisor(name: string): number {
    const [found] = this.httpd.processes(new RegExp(`^tsgi: supervisor ${name}$`));
    return found?.pid ?? expect.fail(`no supervisor of ${name}`);
  }

  /** The pid of the group's worker, when it serves. */
  async worker(name: string): Promise<number> {
    const { body } = await waitFor(
      async () => {
        const answer = await this.httpd.ask(`/${name}/pid`);
        return answer.status === 200 && answer;
      },
      { what: `a worker of ${name}` },
    );
    return Number(body);
  }

  /** Requests that the worker has in hand and never answers. */
  async victims(name: string, count: number): Promise<Promise<Answer>[]> {
    const asked = Array.from({ length: count }, () => this.httpd.ask(`/${name}/hang`));
    await waitFor(async () => (await this.httpd.ask(`/${name}/hanging`)).body === String(count), {
      what: `${String(count)} requests in hand`,
    });
    return asked;
  }

  /** The lines of victims of this worker. */
  lines(pid: number): string[] {
    return this.httpd.log.matching(new RegExp(`TSGI0174.*, pid ${String(pid)}, request`));
  }
}

const expectVictim = (answer: Answer): void => {
  expect(answer.status).to.equal(502);
  expect(answer.body).not.to.match(/exit status|signal|stderr|supervisor|TypeError/);
};

describe('a request whose worker dies says in its log line how', function () {
  this.timeout(60_000);
  let httpd: Httpd;
  let deaths: Deaths;
  before(async () => {
    httpd = await Httpd.start({
      config:
        group('exits') +
        group('kills') +
        group('heap', 'node-args="--max-old-space-size=24"') +
        group('limit', 'memory-limit=80M node-args="--max-old-space-size=64"') +
        group('lone', 'graceful-timeout=2s'),
    });
    // Deaths, their victims, and what V8 and Node write about them.
    httpd.log.allow('TSGI0174', 'TSGI0507', 'TSGI0516', 'TSGI0062', 'TSGI0515', / err\] /);
    deaths = new Deaths(httpd);
  });
  after(() => httpd.stop());

  /** Asks for the death of a worker. @returns the log line of the request that brought it about. */
  async function die(name: string, how: string): Promise<string> {
    const pid = await deaths.worker(name);
    expectVictim(await httpd.ask(`/${name}/${how}`));
    const [line = '', ...more] = deaths.lines(pid);
    expect(more).to.deep.equal([]);
    return line;
  }

  it('process.exit(3)', async () => {
    const line = await die('exits', 'exit');
    expect(line).to.match(
      /the worker ended before the response was complete: exit status 3 \(group/,
    );
  });

  it('an uncaught error', async () => {
    expect(await die('exits', 'throw')).to.match(
      /complete: exit status 1, last on stderr: TypeError: nobody expects this at \S.*\.js:\d+:\d+\)? \(group exits/,
    );
  });

  it('process.abort()', async () => {
    expect(await die('exits', 'abort')).to.match(/complete: signal SIGABRT( \(group|, last on)/);
  });

  it('in the middle of a response', async () => {
    const pid = await deaths.worker('exits');
    const answer = await httpd.ask('/exits/cut');
    expect(answer).to.include({ status: 200, complete: false, body: 'begun' });
    await waitFor(() => deaths.lines(pid).length === 1);
    expect(deaths.lines(pid)[0]).to.match(
      /complete: exit status 4; the response is cut off \(group/,
    );
  });

  it("V8's heap limit", async () => {
    const line = await die('heap', 'heap');
    expect(line).to.match(/complete: signal SIG\w+, out of memory: V8's heap limit \(group heap/);
    await waitFor(
      () => httpd.log.matching(/TSGI0507.*out of memory: V8's heap limit/).length === 1,
    );
  });

  it('memory-limit', async () => {
    expect(await die('limit', 'buffers')).to.match(
      /signal SIGKILL, sent by the supervisor: memory-limit \(TSGI0516\).* \(group limit/,
    );
  });

  it('SIGKILL from outside, for all that it had in hand', async () => {
    const pid = await deaths.worker('kills');
    const asked = await deaths.victims('kills', 12);
    process.kill(pid, 'SIGKILL');
    const start = performance.now();
    for (const answer of await Promise.all(asked)) expectVictim(answer);
    expect(performance.now() - start).to.be.lessThan(3000);
    expect(deaths.lines(pid)).to.have.length(12);
    for (const line of deaths.lines(pid)) expect(line).to.match(/complete: signal SIGKILL \(group/);
  });

  it('a supervisor that is stopped: nobody knows, and nobody waits for it', async () => {
    const pid = await deaths.worker('kills');
    const asked = await deaths.victims('kills', 12);
    process.kill(deaths.supervisor('kills'), 'SIGSTOP');
    const start = performance.now();
    try {
      process.kill(pid, 'SIGKILL');
      for (const answer of await Promise.all(asked)) expectVictim(answer);
    } finally {
      process.kill(deaths.supervisor('kills'), 'SIGCONT');
    }
    expect(performance.now() - start).to.be.lessThan(3000);
    expect(deaths.lines(pid)).to.have.length(12);
    for (const line of deaths.lines(pid)) {
      expect(line).to.match(/how it died is not known: its supervisor gave no answer \(group/);
    }
    expect(await deaths.worker('kills')).not.to.equal(pid);
  });

  it('after a graceful restart, whose children ask the same supervisor', async () => {
    const supervisor = deaths.supervisor('kills');
    await httpd.graceful();
    const pid = await deaths.worker('kills');
    const [asked] = await deaths.victims('kills', 1);
    process.kill(pid, 'SIGKILL');
    expectVictim(await (asked ?? expect.fail()));
    expect(deaths.lines(pid)[0]).to.match(/complete: signal SIGKILL \(group/);
    expect(deaths.supervisor('kills')).to.equal(supervisor);
  });

  it('a killed supervisor, of which its successor knows', async () => {
    const pid = await deaths.worker('lone');
    const [asked] = await deaths.victims('lone', 1);
    const before = deaths.supervisor('lone');
    process.kill(before, 'SIGKILL');
    expectVictim(await (asked ?? expect.fail()));
    expect(deaths.lines(pid)[0]).to.match(/complete: it died with its supervisor \(group lone/);
    expect(deaths.supervisor('lone')).not.to.equal(before);
    expect(await die('lone', 'exit')).to.match(/complete: exit status 3 \(group/);
  });

  it('and nobody but the parent and the supervisor has the socket for it', async () => {
    const worker = await deaths.worker('kills');
    const sockets = new Set(listeningPackets());
    const own = (pid: number) => Object.values(fdsOf(pid)).filter((what) => sockets.has(what));
    const [socket, ...more] = own(deaths.supervisor('kills'));
    expect(socket).not.to.equal(undefined);
    expect(more).to.deep.equal([]);
    expect(own(httpd.pid)).to.include(socket);
    expect(own(worker)).to.deep.equal([]);
    const logger = httpd.processes(/^tsgi: log/).map(({ pid }) => pid);
    for (const pid of [...httpd.children(), ...logger]) expect(own(pid)).to.deep.equal([]);
  });
});

/** Runs node, and the supervisor with a hook before it. */
const wrapper = (node: string, hook: string) => `#!/bin/sh
case "$1" in *supervisor.cjs) exec '${node}' --require '${hook}' "$@";; esac
exec '${node}' "$@"
`;

/** Puts what a file holds in the place of the supervisor's answers. */
const hook = (file: string) => `
const Module = require('node:module');
const { readFileSync } = require('node:fs');
const load = Module._load;
Module._load = function (request, ...rest) {
  const loaded = load.call(this, request, ...rest);
  if (!request.endsWith('tsgi.node')) return loaded;
  const writePacket = (fd, packet) =>
    loaded.writePacket(fd, fd === 4 ? packet : readFileSync(${JSON.stringify(file)}));
  return new Proxy(loaded, {
    get: (target, name) => (name === 'writePacket' ? writePacket : target[name]),
  });
};
`;

describe('a supervisor that speaks nonsense about the death of its workers', function () {
  this.timeout(60_000);
  let httpd: Httpd;
  let deaths: Deaths;
  before(async () => {
    httpd = await Httpd.prepare({ config: '' });
    const node = httpd.write(
      'node',
      wrapper(sanitizedNode(httpd.dir, nodeInUse), `${httpd.dir}/apps/hook.cjs`),
    );
    httpd.write('hook.cjs', hook(`${httpd.dir}/apps/answer`));
    httpd.configure(group('liar', `node=${node}`));
    chmodSync(node, 0o755);
    await httpd.start();
    httpd.log.allow('TSGI0174', 'TSGI0507');
    deaths = new Deaths(httpd);
  });
  after(() => httpd.stop());

  const senseless =
    /how it died is not known: its supervisor gave no answer that makes sense \(group/;
  const answers: Record<string, [answer: Buffer, line: RegExp]> = {
    'is too long': [Buffer.alloc(513, 'x'), senseless],
    'is as long as allowed': [Buffer.alloc(512, 'x'), /complete: x{512} \(group/],
    'holds NUL': [Buffer.from('exit\0status'), senseless],
    'holds control characters': [
      Buffer.from('one\n[error] two\x1b[31m\xff', 'latin1'),
      /complete: one\\n\[error\] two\\x1b\[31m\\xff \(group/,
    ],
    'is empty': [Buffer.alloc(0), /its supervisor gave no answer \(group/],
  };
  for (const [what, [bytes, line]] of Object.entries(answers)) {
    it(`(its answer ${what}) costs nothing but the words`, async () => {
      writeFileSync(`${httpd.dir}/apps/answer`, bytes);
      const pid = await deaths.worker('liar');
      const [asked] = await deaths.victims('liar', 1);
      process.kill(pid, 'SIGKILL');
      expectVictim(await (asked ?? expect.fail()));
      expect(deaths.lines(pid)[0]).to.match(line);
    });
  }
});

if (isRoot) {
  describe("a supervisor under another user than Apache's", () => {
    it('is asked all the same', async () => {
      const httpd = await Httpd.start({ asRoot: true, config: group('games', 'user=games') });
      httpd.log.allow('TSGI0174', 'TSGI0507');
      const deaths = new Deaths(httpd);
      try {
        const pid = await deaths.worker('games');
        expectVictim(await httpd.ask('/games/exit'));
        expect(deaths.lines(pid)[0]).to.match(/complete: exit status 3 \(group games/);
        await waitFor(() => !processOf(pid));
      } finally {
        await httpd.stop();
      }
    });
  });
}
