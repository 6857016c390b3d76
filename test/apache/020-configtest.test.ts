import { expect } from 'chai';
import { chmodSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

/** What configtest refuses: [what, configuration, the words that tell why and what to do]. */
const refused: readonly (readonly [string, string, RegExp])[] = [
  ['an unknown option', 'TSGIDaemonProcess a procesess=2', /procesess.*processes/],
  ['a number below its range', 'TSGIDaemonProcess a processes=0', /processes.*expected.*1.*0/],
  ['a number above its range', 'TSGIDaemonProcess a cpu-priority=20', /cpu-priority=20.*19/],
  ['a number that is none', 'TSGIDaemonProcess a threads=many', /threads.*many/],
  [
    'a duration without a known unit',
    'TSGIDaemonProcess a queue-timeout=5y',
    /queue-timeout=5y.*ms/,
  ],
  [
    'a request-timeout that is too short to be kept',
    'TSGIDaemonProcess a request-timeout=99ms',
    /request-timeout=99ms: expected a duration from 100ms to 24h, or 0 for none/,
  ],
  ['a duplicate group', 'TSGIDaemonProcess a\nTSGIDaemonProcess a', /a.*(already|duplicate)/i],
  ['an unknown user', 'TSGIDaemonProcess a user=no-such-user', /no-such-user/],
  [
    'another user where httpd is not root',
    'TSGIDaemonProcess a user=daemon',
    /TSGI0014.*daemon.*root/,
  ],
  ['uid 0', 'TSGIDaemonProcess a user=#0', /root|uid 0/],
  ['gid 0', 'TSGIDaemonProcess a group=#0', /gid 0|root/],
  [
    'a group that nobody defined',
    'TSGIScriptAlias / @APPS@/echo.js process-group=nope',
    /nope.*TSGIDaemonProcess/,
  ],
  [
    'a group that nobody defined, for the server',
    'TSGIProcessGroup nope\nTSGIScriptAlias / @APPS@/echo.js',
    /nope/,
  ],
  ['a missing script', 'TSGIScriptAlias / @APPS@/no-such-file.js', /no-such-file\.js/],
  [
    'a script that is a directory without a package',
    'TSGIScriptAlias / @ROOT@/htdocs',
    /htdocs.*regular file.*package\.json/,
  ],
  [
    'an inspector that other machines could reach',
    'TSGIDaemonProcess a inspect=0.0.0.0:9229',
    /inspect=0\.0\.0\.0:9229: expected .*this machine alone/,
  ],
  [
    'an inspector at a name that may lead anywhere',
    'TSGIDaemonProcess a inspect=debug.example.org:9229',
    /inspect=debug\.example\.org:9229/,
  ],
  [
    'a switch that is neither on nor off',
    'TSGIScriptReloading sometimes',
    /TSGI0024.*On or Off.*sometimes/,
  ],
  ['a relative node', 'TSGINode node', /absolute/],
  [
    'a missing node',
    'TSGINode /no/such/node\nTSGIScriptAlias / @APPS@/echo.js',
    /\/no\/such\/node/,
  ],
  ['a pattern without a literal root', 'TSGIScriptAliasMatch ^/(.*)$ /$1', /script-root/],
  ['an unknown alias option', 'TSGIScriptAlias / @APPS@/echo.js group=x', /group/],
  ['a group without a name', 'TSGIDaemonProcess', /TSGI0001.*expected the name/],
  ['an alias without a script', 'TSGIScriptAlias /x', /TSGI0004.*path of a script/],
  ['a URL without a slash', 'TSGIScriptAlias x @APPS@/echo.js', /TSGI0005.*begins with \//],
  ['a broken regular expression', 'TSGIScriptAliasMatch (( @APPS@/$1.js', /TSGI0005.*compile/],
  ['an empty process group', 'TSGIProcessGroup ""', /TSGI0006.*name of a process group/],
  ['an application group of two words', 'TSGIApplicationGroup a b', /TSGI0007.*one name.*a b/],
  ['a restriction to nothing', 'TSGIRestrictProcess', /TSGI0008.*names of process groups/],
  ['a wrong word for On', 'TSGIPassAuthorization yes', /TSGI0009.*On, Off or Auto.*yes/],
  ['a runtime directory without a path', 'TSGIRuntimeDir', /TSGI0011.*path of a directory/],
  [
    'a runtime directory in a virtual host',
    '<VirtualHost 127.0.0.1:@PORT@>\nTSGIRuntimeDir @ROOT@/run\n</VirtualHost>',
    /TSGI0011.*VirtualHost/,
  ],
  [
    'the group of another virtual host',
    '<VirtualHost 127.0.0.1:1>\nServerName a.test\nTSGIDaemonProcess other\n</VirtualHost>\n' +
      '<VirtualHost 127.0.0.1:1>\nServerName b.test\nTSGIScriptAlias / @APPS@/echo.js process-group=other\n</VirtualHost>',
    /TSGI0013.*other/,
  ],
  [
    'a pattern outside of script-root',
    'TSGIDaemonProcess a script-root=@ROOT@/apps\nTSGIScriptAliasMatch ^/(.*)$ @ROOT@/htdocs/$1 process-group=a',
    /TSGI0019.*script-root/,
  ],
  [
    'an alias to a group that TSGIRestrictProcess does not name',
    'TSGIDaemonProcess a\nTSGIDaemonProcess b\nTSGIRestrictProcess a\nTSGIScriptAlias / @APPS@/echo.js process-group=b',
    /TSGI0021.*b/,
  ],
];

describe('apachectl configtest', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config: '' });
  });
  after(() => httpd.stop());

  for (const [what, config, why] of refused) {
    it(`refuses ${what}, with file, line and a remedy`, () => {
      httpd.configure(config);
      const { status, output } = httpd.configtest();
      expect(status, output).to.not.equal(0);
      expect(output).to.match(why);
      expect(output).to.match(/httpd\.conf(:| line |.*line )\d+|line \d+ of .*httpd\.conf/);
    });
  }

  it('refuses a node that is older than 20.19', () => {
    const old = join(httpd.dir, 'apps', 'old-node');
    writeFileSync(old, '#!/bin/sh\necho v18.20.4\n');
    chmodSync(old, 0o755);
    httpd.configure(`TSGINode ${old}\nTSGIScriptAlias / @APPS@/echo.js`);
    const { status, output } = httpd.configtest();
    expect(status).to.not.equal(0);
    expect(output).to.match(/18\.20\.4.*20\.19|20\.19.*18\.20\.4/);
  });

  it('refuses a launcher that starts node as another process, and names the binary', () => {
    const shim = join(httpd.dir, 'apps', 'shim');
    writeFileSync(shim, `#!/bin/sh\n${process.execPath} "$@"\nexit $?\n`);
    chmodSync(shim, 0o755);
    httpd.configure(`TSGINode ${shim}\nTSGIScriptAlias / @APPS@/echo.js`);
    const { status, output } = httpd.configtest();
    expect(status).to.not.equal(0);
    expect(output).to.match(/TSGI0016.*shim is not Node\.js itself.*name the binary \/\S+/);
    expect(output).to.include(realpathSync(process.execPath));
  });

  it('refuses a script that everybody may write', () => {
    const path = httpd.write('open.js', 'exports.application = () => []');
    chmodSync(path, 0o666);
    httpd.configure(`TSGIScriptAlias / ${path}`);
    const { status, output } = httpd.configtest();
    expect(status).to.not.equal(0);
    expect(output).to.match(/open\.js.*(world-writable|writable)/);
  });

  it('accepts every option of the documentation at once', () => {
    httpd.configure(`
TSGIDaemonProcess all processes=2 concurrency=100 umask=0027 home=@ROOT@/apps \\
  node-args=--max-old-space-size=200 script-args="serve --name \\"a b\\"" "env=A=b c" display-name=site-%{GROUP} listen-backlog=50 \\
  lang=C.UTF-8 locale=C.UTF-8 cpu-priority=5 no-new-privileges=on start=on-demand \\
  maximum-requests=500 jitter=20 restart-interval=24h inactivity-timeout=10m memory-limit=512M cpu-time-limit=1h \\
  listen=port:3000 ready=message reload=all watch="lib/**/*.js tmp/restart" \\
  queue-timeout=500ms request-timeout=0 startup-timeout=1m graceful-timeout=10 eviction-timeout=5s shutdown-timeout=2s \\
  deadlock-timeout=0
TSGIScriptReloading Off
TSGIScriptAlias / @APPS@/echo.js process-group=all application-group=%{GLOBAL} pass-authorization=On`);
    const { status, output } = httpd.configtest();
    expect(output).to.contain('Syntax OK');
    expect(status).to.equal(0);
  });
});

describe('a broken configuration at a restart', () => {
  it('never stops httpd, whatever configtest would have refused', async () => {
    const good =
      'TSGIDaemonProcess good queue-timeout=2s\nTSGIScriptAlias /good @APPS@/echo.js process-group=good\n';
    const httpd = await Httpd.start({ config: good });
    try {
      httpd.log.allow('TSGI0');
      expect((await httpd.ask('/good/hello')).body).to.equal('hello');
      // Several at once, since a restart takes a second; with group names that do not meet.
      const batches = [0, 1, 2, 3].map((n) =>
        refused
          .filter((_, index) => index % 4 === n)
          .map(([, text], index) => text.replaceAll(/\b([ab])(?=\s|$)/gm, `$1${String(index)}`))
          .join('\n'),
      );
      for (const [n, config] of batches.entries()) {
        // Behind it, so that an alias of / does not take its place.
        httpd.configure(good + config);
        await httpd.graceful(n % 2 === 0 ? 'SIGUSR1' : 'SIGHUP');
        // What is refused may concern the good group, too: a TSGINode, a TSGIRestrictProcess.
        expect((await httpd.ask('/good/hello')).status).to.be.oneOf([200, 403, 500, 503]);
      }
      httpd.configure(good);
      await httpd.graceful();
      // A child of the old configuration may still take a request.
      await waitFor(async () => (await httpd.ask('/good/hello')).body === 'hello');
    } finally {
      await httpd.stop();
    }
  });

  it('does not stop httpd: the group answers 503 with an id, the others serve on', async () => {
    const good =
      'TSGIDaemonProcess good\nTSGIScriptAlias /good @APPS@/callable.js process-group=good\n';
    const httpd = await Httpd.start({ config: good });
    try {
      expect((await httpd.ask('/good')).status).to.equal(200);
      httpd.log.allow('TSGI00');
      httpd.configure(
        `${good}TSGIDaemonProcess bad processes=0\nTSGIScriptAlias /bad @APPS@/callable.js process-group=bad\n`,
      );
      await httpd.graceful();
      const bad = await httpd.ask('/bad');
      expect(bad.status).to.equal(503);
      expect(bad.headers).to.have.property('retry-after');
      expect((await httpd.ask('/good')).status).to.equal(200);
      httpd.log.allow('TSGI01');
    } finally {
      await httpd.stop();
    }
  });
});
