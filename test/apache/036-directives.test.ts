import { chmodSync, chownSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd, ordinary } from '../harness/httpd.ts';
import { isRoot, root } from '../harness/place.ts';
import { fdsOf } from '../harness/processes.ts';
import { sanitizedNode } from '../harness/sanitizer.ts';
import { waitFor } from '../harness/wait.ts';

/** Shows who serves and what it got: the worker's pid, and the Authorization header. */
const shown = `
exports.application = (environ, startResponse) => {
  startResponse('200 OK', []);
  return [process.pid + ' ' + (environ.HTTP_AUTHORIZATION ?? 'none') + ' ' + process.env.LANG];
};
`;

/** Paths through which the sockets of the workers are reached, as Apache's children reach them. */
const socketsOf = (httpd: Httpd) =>
  Object.entries(fdsOf(httpd.pid))
    .filter(([, what]) => what.includes('/run/tsgi.'))
    .map(([fd]) => `/proc/${String(httpd.pid)}/fd/${fd}`);

describe('TSGIRuntimeDir', () => {
  const config = 'TSGIScriptAlias / @APPS@/callable.js\nTSGIRuntimeDir ';

  it('is made where it is missing, parents included, and stays empty', async () => {
    const httpd = await Httpd.start({ config: `${config}run/a/b` }); // relative to ServerRoot
    try {
      expect((await httpd.ask('/x')).status).to.equal(200);
      expect(statSync(join(httpd.dir, 'run/a/b')).mode & 0o022).to.equal(0);
    } finally {
      await httpd.stop();
    }
  });

  for (const [what, mode, why] of [
    ['everyone may write to', 0o777, /TSGI0051.*open.*chmod go-w/],
    ['a group of others may write to', 0o775, /TSGI0051.*open.*chmod go-w/],
    ['httpd may not write to', 0o555, /TSGI0050.*open.*chown/],
  ] as const) {
    if (mode !== 0o777 && !isRoot) continue; // its owner or group could not be another
    it(`is refused at the start if it is one that ${what}, with a remedy`, async () => {
      const httpd = await Httpd.prepare({ config: `${config}@ROOT@/open` });
      try {
        mkdirSync(join(httpd.dir, 'open'));
        if (isRoot && mode !== 0o555) {
          const gid = mode === 0o775 ? 12_345 : ordinary.gid;
          chownSync(join(httpd.dir, 'open'), ordinary.uid, gid);
        }
        chmodSync(join(httpd.dir, 'open'), mode);
        httpd.log.allow('TSGI005[01]', 'AH00016|AH00020');
        await httpd.start().catch(() => undefined); // httpd listens before it asks its modules
        expect(await httpd.exited).to.not.equal(0);
        expect(httpd.log.lines().join('\n')).to.match(why);
      } finally {
        await httpd.stop();
      }
    });
  }
});

describe('directives of a server, a virtual host and a <Location>', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess apps lang=C
TSGIProcessGroup apps
TSGIPassAuthorization Off
TSGIScriptAlias /off @ROOT@/apps/a.js
TSGIScriptAlias /alias @ROOT@/apps/b.js pass-authorization=on
TSGIScriptAlias /one @ROOT@/apps/c.js
TSGIScriptAlias /two @ROOT@/apps/d.js
TSGIScriptAlias /implicit @ROOT@/apps/a.js process-group=%{GLOBAL}
<Location /one>
  TSGIApplicationGroup together
</Location>
<Location /two>
  TSGIApplicationGroup together
</Location>
<VirtualHost 127.0.0.1:@PORT@>
  ServerName localhost
</VirtualHost>
<VirtualHost 127.0.0.1:@PORT@>
  ServerName on.test
  TSGIPassAuthorization On
</VirtualHost>
`,
    });
    for (const name of ['a', 'b', 'c', 'd']) httpd.write(`${name}.js`, shown);
    await httpd.start();
  });
  after(() => httpd.stop());

  const ask = async (path: string, host = 'localhost') => {
    const headers = { Host: host, Authorization: 'Bearer token' };
    const { body } = await httpd.ask(path, { headers });
    const [pid, ...rest] = body.split(' ');
    return { pid, rest: rest.join(' ') };
  };

  it('TSGIPassAuthorization: the virtual host comes before the server, the alias before both', async () => {
    expect((await ask('/off')).rest).to.equal('none C');
    expect((await ask('/off', 'on.test')).rest).to.equal('Bearer token C');
    expect((await ask('/alias')).rest).to.equal('Bearer token C');
  });

  it('TSGIApplicationGroup in two <Location>s makes their scripts share a worker', async () => {
    const [one, two, other] = [await ask('/one'), await ask('/two'), await ask('/off')];
    expect(one.pid).to.equal(two.pid);
    expect(other.pid).to.not.equal(one.pid);
  });

  it('the implicit group of a server is told in a notice, once', async () => {
    expect((await ask('/implicit')).rest).to.equal('none C.UTF-8');
    expect(httpd.processes(/^tsgi: supervisor default:/)).to.have.length(1);
    const notices = httpd.log.matching(/tsgi:notice.*TSGI0022/);
    expect(notices).to.have.length(1);
    expect(notices[0]).to.match(/default:\S+.*TSGIDaemonProcess/);
  });
});

describe('files that a group names', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config: '' });
    for (const name of ['secret.env', 'secret.js']) {
      chmodSync(httpd.write(name, 'A=1\n'), 0o000);
    }
  });
  after(() => httpd.stop());

  for (const [what, options, script, why] of [
    ['a home that is missing', 'home=/no/such/home', '@APPS@/echo.js', /home=\/no\/such\/home/],
    [
      'a home that is a file',
      'home=@APPS@/echo.js',
      '@APPS@/echo.js',
      /home=\S+echo\.js.*director/,
    ],
    ['an env-file that is missing', 'env-file=/no/env', '@APPS@/echo.js', /env-file=\/no\/env/],
    [
      'an env-file that the user cannot read',
      'env-file=@ROOT@/apps/secret.env',
      '@APPS@/echo.js',
      /secret\.env.*read/,
    ],
    ['a script that the user cannot read', '', '@ROOT@/apps/secret.js', /secret\.js.*read/],
  ] as const) {
    it(`are refused by configtest: ${what}`, () => {
      httpd.configure(
        `TSGIDaemonProcess files ${options}\nTSGIScriptAlias / ${script} process-group=files\n`,
      );
      const { status, output } = httpd.configtest();
      expect(status, output).to.equal(1);
      expect(output).to.match(/TSGI0017/);
      expect(output).to.match(why);
      expect(output).to.match(/line \d+ of .*httpd\.conf|httpd\.conf:\d+/);
    });
  }

  it('that are gone by a restart do not stop httpd: 503, and the log says what is missing', async () => {
    const config = (home: string) =>
      `TSGIDaemonProcess moved home=${home} queue-timeout=2s\nTSGIScriptAlias / @APPS@/callable.js process-group=moved\n`;
    httpd.configure(config('@ROOT@/htdocs'));
    await httpd.start();
    expect((await httpd.ask('/x')).status).to.equal(200);
    httpd.configure(config('@ROOT@/gone'));
    httpd.log.allow('TSGI0');
    await httpd.graceful();
    expect((await httpd.ask('/x')).status).to.equal(503);
    const line = await waitFor(() => httpd.log.matching(/TSGI0\d+.*\/gone/)[0]);
    expect(line).to.match(/moved/);
    mkdirSync(join(httpd.dir, 'gone'));
    await waitFor(async () => (await httpd.ask('/x')).status === 200, { timeoutMs: 35_000 });
  });
});

describe('scripts that a pattern leads to', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({
      config: 'TSGIScriptAliasMatch ^/(.+)$ @ROOT@/apps/scripts/$1',
    });
    for (const name of ['fine.js', 'open.js', 'foreign.js']) httpd.write(`scripts/${name}`, shown);
    chmodSync(join(httpd.dir, 'apps/scripts/open.js'), 0o666);
    if (isRoot) chownSync(join(httpd.dir, 'apps/scripts/foreign.js'), 1, 1);
    await httpd.start();
    httpd.log.allow('TSGI060[45]', 'TSGI01');
  });
  after(() => httpd.stop());

  it('do not run if everyone may write to them', async () => {
    expect((await httpd.ask('/fine.js')).status).to.equal(200);
    expect((await httpd.ask('/open.js')).status).to.equal(403);
    await waitFor(() => httpd.log.matching(/TSGI0605.*open\.js/).length > 0);
  });

  if (isRoot) {
    it('do not run if they belong to another user', async () => {
      expect((await httpd.ask('/foreign.js')).status).to.equal(403);
      await waitFor(() => httpd.log.matching(/TSGI0604.*foreign\.js/).length > 0);
      expect((await httpd.ask('/fine.js')).status).to.equal(200);
    });
  }
});

describe('the sockets of the workers', () => {
  it('hold as many connections as listen-backlog says while the worker takes none', async () => {
    const httpd = await Httpd.start({
      config:
        'TSGIDaemonProcess short listen-backlog=3\nTSGIScriptAlias / @APPS@/callable.js process-group=short',
    });
    const open: Socket[] = [];
    try {
      await httpd.ask('/x');
      const worker = httpd.processes(/^tsgi: worker short\//)[0]?.pid ?? 0;
      const [path = ''] = socketsOf(httpd);
      process.kill(worker, 'SIGSTOP');
      await waitFor(() => httpd.processes(/^tsgi: worker short\//)[0]?.state === 'T');
      const results = await Promise.all(
        Array.from({ length: 20 }, () => {
          const socket = connect(path);
          open.push(socket);
          return new Promise<string>((resolve) => {
            socket.on('connect', () => {
              resolve('connected');
            });
            socket.on('error', (e: NodeJS.ErrnoException) => {
              resolve(e.code ?? '');
            });
          });
        }),
      );
      expect(results.filter((r) => r === 'connected').length).to.be.within(1, 4); // Linux: one more
      expect(results).to.include('EAGAIN');
      httpd.log.allow('TSGI07'); // a stranger at the socket
      for (const socket of open) socket.destroy();
      process.kill(worker, 'SIGCONT');
      expect((await httpd.ask('/x')).status).to.equal(200);
    } finally {
      await httpd.stop();
    }
  });

  if (isRoot) {
    it("belong to Apache's user, or to socket-user, and to nobody else", async () => {
      const httpd = await Httpd.start({
        asRoot: true,
        config: `
TSGIDaemonProcess usual user=games
TSGIScriptAlias /usual @APPS@/callable.js process-group=usual
TSGIDaemonProcess other user=games socket-user=news queue-timeout=1s
TSGIScriptAlias /other @APPS@/callable.js process-group=other`,
      });
      try {
        expect((await httpd.ask('/usual')).status).to.equal(200);
        httpd.log.allow('TSGI0');
        expect((await httpd.ask('/other')).status).to.equal(503);
        await waitFor(() => httpd.log.matching(/TSGI01\d\d.*(other|denied)/i).length > 0);
        const files = socketsOf(httpd).map((path) => statSync(path));
        // Of each group the worker's, and the supervisor's for questions about deaths.
        expect(files.map((f) => f.mode & 0o777)).to.deep.equal([0o600, 0o600, 0o600, 0o600]);
        const owners = files.map((f) => f.uid).sort((a, b) => a - b);
        expect(owners).to.deep.equal([9, 9, 33, 33]); // of Debian
      } finally {
        await httpd.stop();
      }
    });
  }
});

describe('the README', () => {
  it('has six lines of configuration that put mod_tsgi into an Apache', async () => {
    const block = /six lines of configuration:\n\n```apache\n([^`]*)```/.exec(
      readFileSync(join(root, 'README.md'), 'utf8'),
    )?.[1];
    const lines = (block ?? '').trim().split('\n');
    expect(lines).to.have.length(6);
    expect(lines[0]).to.match(/^LoadModule tsgi_module /);
    const httpd = await Httpd.prepare({ config: '' });
    try {
      const js = /```js\n(\/\/ \/srv[^`]*)```/.exec(
        readFileSync(join(root, 'README.md'), 'utf8'),
      )?.[1];
      httpd.write('index.js', js ?? '');
      const user = isRoot ? ordinary.name : (process.env['USER'] ?? String(process.getuid?.()));
      const config = lines
        .slice(1)
        .join('\n')
        .replaceAll('/srv/myapp', `${httpd.dir}/apps`)
        .replace('user=myapp', `user=${/^\d+$/.test(user) ? `#${user}` : user}`)
        .replace('/usr/bin/node', sanitizedNode(httpd.dir, process.execPath));
      httpd.configure(`<Directory />\n  Require all denied\n</Directory>\n${config}\n`);
      expect(httpd.configtest().output).to.contain('Syntax OK');
      await httpd.start();
      const answer = await httpd.ask('/app');
      expect([answer.status, answer.body]).to.deep.equal([200, 'Hello!\n']);
    } finally {
      await httpd.stop();
    }
  });
});
