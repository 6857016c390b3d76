/**
 * What is told to run before the app, by NODE_OPTIONS and node-args: monitoring packages hook into
 * Node there. The real ones are in test/ecosystem; here is what they are made of.
 */
import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { app, nodeInUse } from '../harness/place.ts';
import { waitFor } from '../harness/wait.ts';

const config = `
TSGIDaemonProcess args node-args="--require @APPS@/node/observer.cjs"
TSGIScriptAlias /args @APPS@/node/observed.cjs process-group=args
TSGIDaemonProcess options "env=NODE_OPTIONS=--require @APPS@/node/observer.cjs"
TSGIScriptAlias /options @APPS@/node/observed.cjs process-group=options
TSGIDaemonProcess hooks node-args="--import @APPS@/node/observer.mjs" "env=NODE_OPTIONS=--import file://@APPS@/node/observer.mjs"
TSGIScriptAlias /hooks @APPS@/node/hooked.mjs process-group=hooks
TSGIDaemonProcess broken node-args="--require @ROOT@/apps/missing.cjs"
TSGIScriptAlias /broken @APPS@/node/observed.cjs process-group=broken
`;

interface Told {
  readonly seen: string[];
  readonly preloaded: string[];
}

describe('what runs before the app', () => {
  let httpd: Httpd;
  let alone: Told;
  before(async () => {
    const args = ['--require', app('node/observer.cjs'), app('node/observed.cjs')];
    alone = JSON.parse(execFileSync(nodeInUse, args, { encoding: 'utf8' })) as Told;
    httpd = await Httpd.start({ config });
    httpd.log.allow(/TSGI0506/, /TSGI0179/, /err\] /);
  });
  after(() => httpd.stop());

  for (const name of ['args', 'options']) {
    it(`sees of each request what it sees under node alone (${name})`, async () => {
      await httpd.ask(`/${name}/a`);
      await httpd.ask(`/${name}/b?c`);
      // The response is out before the channel says so, as under node alone.
      const told = await waitFor(async () => {
        const answer = JSON.parse((await httpd.ask(`/${name}/told`)).body) as Told;
        return answer.seen.some((text) => text.startsWith('finish /b')) && answer;
      });
      const own = (seen: readonly string[]): string[] =>
        seen.filter((text) => !text.includes('/told'));
      expect(own(told.seen)).to.deep.equal(own(alone.seen));
      expect(own(alone.seen)).to.include.members(['emit /a', 'start /a true true true']);
      expect(own(alone.seen).join()).to.match(/finish \/b\?c 200 \/b\?c/);
    });
  }

  it('hooks the loading of ES modules, in the order in which it is named, and the entry stays the main one', async () => {
    const { word, main, preloaded } = JSON.parse((await httpd.ask('/hooks')).body) as {
      word: string;
      main: boolean | null;
      preloaded: string[];
    };
    expect(word).to.equal('as it was hooked');
    expect(main).to.be.oneOf([true, null]); // null: this Node has no import.meta.main
    expect(preloaded).to.have.length.within(1, 2); // a file is one module, under either name
  });

  it('is named in the log where it cannot be loaded', async () => {
    expect((await httpd.ask('/broken')).status).to.equal(503);
    await waitFor(
      () => httpd.log.matching(/TSGI0506.*Cannot find module '\S*missing\.cjs'/).length > 0,
    );
  });
});
