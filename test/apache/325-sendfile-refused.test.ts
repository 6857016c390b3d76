import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { Httpd, ordinary } from '../harness/httpd.ts';
import { isRoot } from '../harness/place.ts';
import { waitFor } from '../harness/wait.ts';

const config = `
TSGIDaemonProcess files
TSGIProcessGroup files
TSGISendfilePath @ROOT@/files @ROOT@/current /dev @ROOT@/not-made-yet
TSGIScriptAlias /app @APPS@/sendfile.cjs application-group=app
TSGIScriptAlias /none @APPS@/sendfile.cjs application-group=app
<Location /none>
  TSGISendfilePath None
</Location>
`;

describe('X-Sendfile that names what may not be sent', () => {
  let httpd: Httpd;
  let files: string;
  before(async () => {
    httpd = await Httpd.prepare({ config });
    files = `${httpd.dir}/files`;
    mkdirSync(`${files}/sub`, { recursive: true });
    mkdirSync(`${httpd.dir}/files-not`);
    mkdirSync(`${httpd.dir}/releases/7/files`, { recursive: true });
    symlinkSync('releases/7/files', `${httpd.dir}/current`);
    writeFileSync(`${httpd.dir}/releases/7/files/new.txt`, 'new');
    writeFileSync(`${httpd.dir}/secret.txt`, 'the secret');
    writeFileSync(`${httpd.dir}/files-not/x.txt`, 'the secret');
    writeFileSync(`${files}/public.txt`, 'public');
    symlinkSync(`${httpd.dir}/secret.txt`, `${files}/absolute.txt`);
    symlinkSync(`../secret.txt`, `${files}/relative.txt`);
    symlinkSync(`..`, `${files}/up`);
    symlinkSync(`/proc/self/fd/0`, `${files}/magic`);
    symlinkSync(`${files}/public.txt`, `${files}/by-way-of-the-root.txt`);
    execFileSync('mkfifo', [`${files}/fifo`]);
    writeFileSync(`${files}/open.txt`, 'the secret');
    chmodSync(`${files}/open.txt`, 0o666);
    httpd.log.allow('TSGI0025', 'TSGI0222');
    await httpd.start();
  });
  after(() => httpd.stop());

  const asked = (query: string, app = 'app') => httpd.ask(`/${app}/?${query}`);
  const named = (path: string) => asked(`path=${encodeURIComponent(path)}`);
  const logged = (pattern: RegExp) => waitFor(() => httpd.log.matching(pattern).length > 0);

  for (const [what, path, why] of [
    ['a file elsewhere', '@/secret.txt', /leads to no directory that TSGISendfilePath names/],
    ['a directory whose name begins alike', '@/files-not/x.txt', /leads to no directory/],
    ['a way up', '@/files/../secret.txt', /leads to no directory/],
    ['a way up through a directory', '@/files/sub/../../secret.txt', /leads to no directory/],
    ['an absolute link out', '@/files/absolute.txt', /leads to no directory/],
    ['a relative link out', '@/files/relative.txt', /leads to no directory/],
    ['a linked directory out', '@/files/up/secret.txt', /leads to no directory/],
    ['an absolute link, even back in', '@/files/by-way-of-the-root.txt', /leads to no directory/],
    ['a link of the kernel', '@/files/magic', /leads to no directory|cannot be opened/],
    ['a directory', '@/files/sub', /sub: it is not a regular file/],
    ['the allowed directory itself', '@/files', /leads to no directory|not a regular file/],
    ['the same with a slash', '@/files/', /not a regular file/],
    ['a FIFO', '@/files/fifo', /fifo: it is not a regular file/],
    ['a device that never ends', '/dev/zero', /zero: it is not a regular file/],
    ['a file that everyone may write to', '@/files/open.txt', /everyone may write to it/],
    ['a relative path', 'files/public.txt', /expected an absolute path, came "files\/public.txt"/],
    ['an empty path', '', /expected an absolute path, came ""/],
    ['a URL', 'file:///etc/passwd', /expected an absolute path/],
  ] as const) {
    it(`answers 500 for ${what}, says why in the log, and nothing of it to the client`, async () => {
      const answer = await named(path.replace('@', httpd.dir));
      expect(answer.status).to.equal(500);
      expect(answer.body).to.not.contain('secret').and.not.contain(httpd.dir);
      expect(answer.headers).to.not.have.property('x-sendfile');
      expect(answer.headers).to.not.have.property('etag');
      await logged(new RegExp(`TSGI0222.*${why.source}`));
    });
  }

  for (const [what, raw, why] of [
    ['NUL', '@/files/public.txt%2500', /encodeURI/],
    ['a slash that is escaped', '@/files%252Fpublic.txt', /encodeURI/],
    ['an escape that is none', '@/files/100%25.txt', /encodeURI/],
    ['a path longer than any', `@/files/${'x'.repeat(5000)}`, /too long/],
  ] as const) {
    it(`answers 500 for ${what}`, async () => {
      const answer = await asked(`raw&path=${raw.replace('@', httpd.dir)}`);
      expect(answer.status).to.equal(500);
      await logged(new RegExp(`TSGI0222.*${why.source}`));
    });
  }

  it('answers 404 for a file that is not there, as for any other', async () => {
    for (const path of [
      'files/missing',
      'files/public.txt/x',
      'files/sub/no/x',
      'not-made-yet/x',
    ]) {
      expect((await named(`${httpd.dir}/${path}`)).status, path).to.equal(404);
    }
    await logged(/TSGI0223.*missing/);
  });

  it('answers 500 where no directory is allowed, and says which directive would', async () => {
    const answer = await asked(`path=${files}/public.txt`, 'none');
    expect(answer.status).to.equal(500);
    expect(answer.headers).to.not.have.property('x-sendfile');
    await logged(/TSGI0222.*TSGISendfilePath names no directory here/);
  });

  it('takes two of them for a fault of the worker', async () => {
    httpd.log.allow('TSGI0175');
    const answer = await asked(`path=${files}/public.txt&again=${files}/public.txt`);
    expect(answer.status).to.equal(502);
    expect(answer.headers).to.not.have.property('x-sendfile');
    await logged(/TSGI0175.*two X-Sendfile headers/);
  });

  it('goes on with the next response, on the same connection', async () => {
    const one = `GET /app/?path=${files}/missing HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    const two = `GET /app/?path=${files}/public.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    const client = await httpd.raw(one + two);
    await client.closed;
    client.socket.destroy();
    expect(client.received()).to.match(/^HTTP\/1\.1 404 [^]*HTTP\/1\.1 200 [^]*public$/);
  });

  it('allows a directory by the name that the configuration has, and by its real one', async () => {
    expect((await named(`${httpd.dir}/current/new.txt`)).body).to.equal('new');
    expect((await named(`${httpd.dir}/releases/7/files/new.txt`)).body).to.equal('new');
    expect((await named(`${httpd.dir}/releases/7/files/../../../secret.txt`)).status).to.equal(500);
  });

  it('never sends what a link leads to out of the directory, however quickly it is swapped', async () => {
    chmodSync(files, 0o777);
    const link = `${files}/swapped`;
    const targets = `target=public.txt&target=../secret.txt&target=sub`;
    await httpd.ask(`/app/swap?link=${link}&${targets}`);
    const statuses = new Set<number>();
    for (let i = 0; i < 300; i++) {
      const answer = await named(link);
      statuses.add(answer.status);
      expect(answer.body).to.not.contain('secret');
      if (answer.status === 200) expect(answer.body).to.equal('public');
    }
    await httpd.ask(`/app/rest?link=${link}`);
    expect([...statuses].every((status) => status === 200 || status === 500)).to.equal(true);
  });
});

if (isRoot) {
  describe('X-Sendfile of an app with a user of its own', () => {
    let httpd: Httpd;
    let files: string;
    before(async () => {
      httpd = await Httpd.prepare({
        asRoot: true,
        config: `
TSGIDaemonProcess files user=nobody group=nogroup
TSGIProcessGroup files
TSGISendfilePath @ROOT@/files
TSGIScriptAlias /app @APPS@/sendfile.cjs
`,
      });
      files = `${httpd.dir}/files`;
      mkdirSync(files);
      const make = (name: string, mode: number, uid: number, gid: number) => {
        writeFileSync(`${files}/${name}`, name);
        chownSync(`${files}/${name}`, uid, gid);
        chmodSync(`${files}/${name}`, mode);
      };
      const { uid, gid } = ordinary;
      make('own', 0o644, uid, gid);
      make('own-unreadable', 0o044, uid, gid);
      make('root', 0o644, 0, 0);
      make('root-group', 0o640, 0, gid);
      make('www-group', 0o640, 0, 33);
      make('others', 0o644, 12_345, 12_345);
      make('apache', 0o600, 33, 33);
      linkSync(`${files}/www-group`, `${files}/hard-link`);
      httpd.log.allow('TSGI0222');
      await httpd.start();
    });
    after(() => httpd.stop());

    for (const [name, status, why] of [
      ['own', 200, ''],
      ['root', 200, ''],
      ['others', 500, 'belongs neither to root nor to the user'],
      ['apache', 500, 'belongs neither to root nor to the user'],
      ['www-group', 500, 'the user of the process group may not read it'],
      ['hard-link', 500, 'the user of the process group may not read it'],
      ['own-unreadable', 500, 'the user of the process group may not read it'],
    ] as const) {
      it(`${status === 200 ? 'is sent' : 'is not sent'} if the file is ${name}`, async () => {
        const answer = await httpd.ask(`/app/?path=${files}/${name}`);
        expect(answer.status).to.equal(status);
        if (status === 200) expect(answer.body).to.equal(name);
        else
          await waitFor(
            () => httpd.log.matching(new RegExp(`TSGI0222.*/${name}: .*${why}`)).length > 0,
          );
      });
    }

    it('is not sent if Apache itself may not read it', async () => {
      const answer = await httpd.ask(`/app/?path=${files}/root-group`);
      expect(answer.status).to.equal(500);
      await waitFor(() => httpd.log.matching(/TSGI0222.*root-group/).length > 0);
    });
  });
}
