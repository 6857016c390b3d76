/** Binaries of version managers: in a home that others cannot enter, behind links. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { isRoot, nodeInUse } from '../harness/place.ts';
import { isSanitized } from '../harness/sanitizer.ts';
import { waitFor } from '../harness/wait.ts';

const idOf = (user: string, flag: string): number =>
  Number(execFileSync('id', [flag, user], { encoding: 'utf8' }));

function copyOfNode(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  try {
    linkSync(nodeInUse, path);
  } catch {
    copyFileSync(nodeInUse, path); // Another file system.
  }
}

// Only root can give a directory to another user; sanitizers need a script in the place of the binary.
if (isRoot && !isSanitized) {
  describe('a node in the home of its user', () => {
    // Accounts that every Debian has and that own nothing of interest.
    const [owner, other] = ['games', 'news'];
    let httpd: Httpd;
    let home: string;
    const group = (name: string, user: string, node: string): string => `
TSGIDaemonProcess ${name} user=${user} node=${node}
TSGIScriptAlias /${name} @APPS@/entry.cjs process-group=${name}
`;
    before(async () => {
      httpd = await Httpd.prepare({ asRoot: true, config: '' });
      home = join(httpd.dir, 'home');
      const nvm = join(home, '.nvm/versions/node/v20.0.0/bin/node');
      copyOfNode(nvm);
      mkdirSync(join(home, '.local/share/fnm/aliases'), { recursive: true });
      symlinkSync(
        join(home, '.nvm/versions/node/v20.0.0'),
        join(home, '.local/share/fnm/aliases/default'),
      );
      for (const name of ['', '.nvm', '.local', '.local/share/fnm']) {
        chownSync(join(home, name), idOf(owner, '-u'), idOf(owner, '-g'));
        chmodSync(join(home, name), 0o700);
      }
      httpd.configure(
        group('nvm', owner, nvm) +
          group('fnm', owner, join(home, '.local/share/fnm/aliases/default/bin/node')),
      );
      await httpd.start();
    });
    after(() => httpd.stop());

    for (const name of ['nvm', 'fnm']) {
      it(`runs the apps of that user (${name})`, async () => {
        const told = JSON.parse((await httpd.ask(`/${name}`)).body) as { uid: number };
        expect(told.uid).to.equal(idOf(owner, '-u'));
      });
    }

    it('is refused to another user by configtest, which says why', async () => {
      const nvm = join(home, '.nvm/versions/node/v20.0.0/bin/node');
      const refused = await Httpd.prepare({ asRoot: true, config: group('nvm', other, nvm) });
      try {
        const { status, output } = refused.configtest();
        expect(status).to.not.equal(0);
        expect(output).to.match(new RegExp(`TSGI0016.*user ${other} may not execute`));
      } finally {
        await refused.stop();
      }
    });

    it('finds itself first in the PATH of the app', async () => {
      const { pid } = await waitFor(() => httpd.processes(/^tsgi: worker nvm/)[0]);
      const environment = readFileSync(`/proc/${String(pid)}/environ`, 'utf8').split('\0');
      const path = environment.find((entry) => entry.startsWith('PATH='));
      expect(path).to.match(/^PATH=\S+\/home\/\.nvm\/versions\/node\/v20\.0\.0\/bin:/);
    });
  });
}
