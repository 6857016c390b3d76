import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { isRoot } from '../harness/place.ts';
import { fdsOf, processOf, statusOf } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

const idOf = (user: string, flag = '-u') =>
  Number(execFileSync('id', [flag, user], { encoding: 'utf8' }));

// Users switch only under root; `npm test` as an ordinary user leaves this suite out and says so.
if (isRoot) {
  describe('groups under different users', () => {
    // Accounts that every Debian has and that own nothing of interest.
    const [anna, bert] = ['games', 'news'];
    let httpd: Httpd;
    before(async () => {
      httpd = await Httpd.prepare({
        asRoot: true,
        config: `
TSGIDaemonProcess anna user=${anna} processes=1 limit-files=300
TSGIDaemonProcess bert user=${bert} group=${bert} supplementary-groups=${anna} umask=0077 cpu-priority=3
TSGIDaemonProcess loose user=${bert} no-new-privileges=off
TSGIScriptAlias /anna @ROOT@/apps/anna/index.cjs process-group=anna
TSGIScriptAlias /bert @APPS@/entry.cjs process-group=bert
TSGIScriptAlias /loose @APPS@/entry.cjs process-group=loose
TSGIScriptAlias /implicit @APPS@/entry.cjs`,
      });
      // A private directory: only anna may enter it, Apache's user may not read the script.
      const dir = join(httpd.dir, 'apps', 'anna');
      mkdirSync(dir);
      writeFileSync(
        join(dir, 'index.cjs'),
        readFileSync(join(import.meta.dirname, '../apps/entry.cjs')),
      );
      chownSync(dir, idOf(anna), idOf(anna, '-g'));
      chownSync(join(dir, 'index.cjs'), idOf(anna), idOf(anna, '-g'));
      chmodSync(join(dir, 'index.cjs'), 0o600);
      chmodSync(dir, 0o711);
      await httpd.start();
    });
    after(() => httpd.stop());

    const entry = async (path: string) =>
      JSON.parse((await httpd.ask(path)).body) as {
        uid: number;
        gid: number;
        groups: number[];
        umask: number;
      };
    const pidOf = async (path: string, title: RegExp) => {
      await httpd.ask(path);
      return (await waitFor(() => httpd.processes(title)[0])).pid;
    };

    it('run as their users, with their groups and umask', async () => {
      expect(await entry('/anna')).to.include({ uid: idOf(anna), gid: idOf(anna, '-g') });
      const other = await entry('/bert');
      expect(other).to.include({ uid: idOf(bert), gid: idOf(bert, '-g'), umask: 0o077 });
      expect(other.groups).to.include(idOf(anna, '-g'));
      expect(await entry('/implicit')).to.include({ uid: idOf('www-data') });
    });

    it('are asked by configtest, as themselves, whether they can read their scripts', async () => {
      const other = await Httpd.prepare({
        asRoot: true,
        config: `
TSGIDaemonProcess bert user=${bert}
TSGIScriptAlias /private @ROOT@/apps/private.js process-group=bert
TSGIScriptAlias /theirs @ROOT@/apps/theirs.js process-group=bert`,
      });
      try {
        chmodSync(other.write('private.js', ''), 0o600); // root's, as whom configtest runs
        chownSync(other.write('theirs.js', ''), idOf(anna), idOf(anna, '-g'));
        const { status, output } = other.configtest();
        expect(status).to.equal(1);
        expect(output).to.match(/TSGI0017.*private\.js.*read/);
        expect(output).to.match(/TSGI0017.*theirs\.js.*(owned by|belongs to)/);
      } finally {
        await other.stop();
      }
    });

    it('have dropped every right of root, for good', async () => {
      const pid = await pidOf('/bert', /^tsgi: worker bert\/0/);
      const uid = String(idOf(bert));
      const status = statusOf(pid);
      expect(status['Uid']?.split('\t')).to.deep.equal([uid, uid, uid, uid]);
      expect(status).to.include({
        NoNewPrivs: '1',
        CapEff: '0000000000000000',
        CapPrm: '0000000000000000',
      });
      const supervisor = httpd.processes(/^tsgi: supervisor bert/)[0]?.pid ?? 0;
      expect(statusOf(supervisor)['Uid']?.split('\t')).to.deep.equal([uid, uid, uid, uid]);
      expect(statusOf(supervisor)).to.include({ NoNewPrivs: '1', CapEff: '0000000000000000' });
    });

    it('may keep new privileges where the configuration says so', async () => {
      const pid = await pidOf('/loose', /^tsgi: worker loose\/0/);
      expect(statusOf(pid)['NoNewPrivs']).to.equal('0');
    });

    it('honour resource limits and priority', async () => {
      const limits = readFileSync(
        `/proc/${String(await pidOf('/anna', /^tsgi: worker anna\/0/))}/limits`,
        'utf8',
      );
      expect(limits).to.match(/Max open files\s+300\s/);
      const stat = readFileSync(
        `/proc/${String(await pidOf('/bert', /^tsgi: worker bert\/0/))}/stat`,
        'utf8',
      );
      expect(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]).to.equal('3');
    });

    it("run the log process and nothing else as Apache's user", () => {
      const log = httpd.processes(/^tsgi: log/)[0];
      expect(statusOf(log?.pid ?? 0)['Uid']?.split('\t')[0]).to.equal(String(idOf('www-data')));
    });

    it('hold no file descriptor of Apache or of another group', async () => {
      for (const title of [/^tsgi: worker anna\/0/, /^tsgi: supervisor anna/]) {
        const fds = fdsOf(await pidOf('/anna', title));
        const files = Object.values(fds).filter(
          (f) => f.startsWith('/') && !f.startsWith('/dev/null'),
        );
        expect(
          files.filter((f) => /\.log|httpd/.test(f)),
          title.source,
        ).to.deep.equal([]);
      }
      const links = (pid: number) =>
        new Set(Object.values(fdsOf(pid)).filter((f) => /^(socket|pipe):/.test(f)));
      const mine = links(await pidOf('/anna', /^tsgi: supervisor anna/));
      const theirs = links(await pidOf('/bert', /^tsgi: supervisor bert/));
      expect([...mine].filter((f) => theirs.has(f))).to.deep.equal([]);
    });

    it('leave no socket that another user could connect to', async () => {
      const { readdirSync } = await import('node:fs');
      for (const name of readdirSync(join(httpd.dir, 'run'))) {
        expect(statSync(join(httpd.dir, 'run', name)).isSocket(), name).to.equal(false);
      }
    });

    it('do not talk to a local client that is not Apache', async () => {
      // Root may open the socket through /proc; without the group's secret the worker says HELLO and no more.
      const pid = await pidOf('/anna', /^tsgi: worker anna\/0/);
      const parent = httpd.pid;
      const sockets = Object.entries(fdsOf(parent)).filter(([, what]) => what.includes('/run/'));
      expect(sockets.length).to.be.greaterThan(0);
      httpd.log.allow('TSGI07');
      const [fd] = sockets[0] ?? [];
      const socket = connect(`/proc/${String(parent)}/fd/${String(fd)}`);
      const chunks: Buffer[] = [];
      let closed = false;
      socket
        .on('data', (c: Buffer) => chunks.push(c))
        .on('close', () => (closed = true))
        .on('error', () => undefined);
      await waitFor(() => Buffer.concat(chunks).length >= 32 || closed);
      const auth = Buffer.alloc(8 + 36);
      auth.writeUInt32LE(36, 0);
      auth.writeUInt8(1, 4);
      auth.writeUInt8(1, 8);
      socket.write(auth); // a secret of zeros
      await waitFor(() => closed);
      expect(processOf(pid)).to.not.equal(undefined);
    });
  });
} else {
  console.log('      (suites that need root are left out: groups under different users)');
}
