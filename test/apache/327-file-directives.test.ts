import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

/** [what, configuration, the words that tell why and what to do]. */
const refused: readonly (readonly [string, string, RegExp])[] = [
  [
    'mount= with another word',
    'TSGIScriptAlias / @APPS@/echo.js mount=on',
    /TSGI0005.*mount=on.*strip.*keep/,
  ],
  ['an empty mount=', 'TSGIScriptAlias / @APPS@/echo.js mount=', /TSGI0005.*mount=/],
  [
    'TSGISendfilePath without a directory',
    'TSGISendfilePath',
    /TSGI0025.*expected directories, or None/,
  ],
  ['TSGISendfilePath On', 'TSGISendfilePath On', /TSGI0025.*directories.*"On"/],
  ['None among directories', 'TSGISendfilePath /tmp None', /TSGI0025.*"\/tmp None"/],
  ['an empty directory', 'TSGISendfilePath ""', /TSGI0025.*expected directories/],
  ['TSGIStatic without a directory', 'TSGIStatic', /TSGI0026.*expected a directory, or Off/],
  ['TSGIStatic On', 'TSGIStatic On', /TSGI0026.*"On"/],
  [
    'TSGIStatic in a <Directory>',
    '<Directory /tmp>\nTSGIStatic /tmp\n</Directory>',
    /TSGI0026.*<Directory>/,
  ],
  ['TSGIStatic with two directories', 'TSGIStatic /tmp /var', /TSGI0026.*"\/tmp \/var"/],
];

describe('configtest of mounting, X-Sendfile and static files', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config: '' });
  });
  after(() => httpd.stop());

  for (const [what, config, why] of refused) {
    it(`refuses ${what}, and says what was expected`, () => {
      httpd.configure(config);
      const { status, output } = httpd.configtest();
      expect(status).to.not.equal(0);
      expect(output.replaceAll('\n', ' ')).to.match(why);
    });
  }

  it('takes relative directories for such of ServerRoot, and warns of those that are missing', () => {
    httpd.configure(
      'TSGIStatic htdocs\nTSGISendfilePath htdocs apps/\n<Location /x>\nTSGIStatic no/such\nTSGISendfilePath "not there"\n</Location>',
    );
    const { status, output } = httpd.configtest();
    expect(status).to.equal(0);
    expect(output).to.match(/TSGI0026: TSGIStatic: there is no directory \S+\/no\/such \(line \d+/);
    expect(output).to.match(/TSGI0025: TSGISendfilePath: there is no directory .*\/not there \(/);
    expect(output.match(/there is no directory/g)).to.have.length(2);
  });
});

describe('a restart with directives that cannot be read', () => {
  it('serves on, and allows no file', async () => {
    const app = 'TSGIScriptAlias / @APPS@/sendfile.cjs\n';
    const good = `${app}TSGISendfilePath @ROOT@/htdocs\nTSGIStatic @ROOT@/htdocs\n`;
    const httpd = await Httpd.prepare({ config: good });
    try {
      httpd.write('../htdocs/x.txt', 'a file');
      await httpd.start();
      const path = `/?path=${httpd.dir}/htdocs/x.txt`;
      expect((await httpd.ask(path)).body).to.equal('a file');
      expect((await httpd.ask('/x.txt')).body).to.equal('a file');
      httpd.log.allow('TSGI0025', 'TSGI0026', 'TSGI0222');
      httpd.configure(`${app}TSGISendfilePath On\nTSGIStatic On\n`);
      await httpd.graceful();
      await waitFor(async () => (await httpd.ask(path)).status === 500);
      expect((await httpd.ask('/x.txt')).body).to.equal('');
      expect((await httpd.ask('/hello')).body).to.equal('hello');
    } finally {
      await httpd.stop();
    }
  });
});
