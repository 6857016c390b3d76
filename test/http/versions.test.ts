import { expect } from 'chai';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename } from 'node:path';

/** Further Node binaries, separated by colons; these tests use internals of Node's http classes. */
const others = (process.env['TSGI_TEST_NODES'] ?? '')
  .split(':')
  .filter((path) => path !== '' && path !== process.execPath && existsSync(path));

describe('the hooks on Node’s http classes', () => {
  for (const node of others) {
    const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
    it(`work on Node ${version}`, function () {
      this.timeout(120_000);
      const args = ['node_modules/mocha/bin/mocha.js', '--reporter', 'dot', '--ignore'];
      const own = basename(import.meta.url);
      const run = spawnSync(node, [...args, `test/http/${own}`, 'test/http/*.test.ts'], {
        encoding: 'utf8',
        env: { ...process.env, TSGI_TEST_NODES: '' },
      });
      expect(run.status, run.stdout + run.stderr).to.equal(0);
    });
  }
});
