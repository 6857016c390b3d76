/** What a Response is and does, is in the handler what it was when the app was loaded: Node's own. */
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';

interface Found {
  readonly before: Readonly<Record<string, unknown>>;
  readonly after: Readonly<Record<string, unknown>>;
  readonly isReplaced: boolean;
}

describe('a Response that a fetch handler makes', () => {
  let httpd: Httpd;
  let found: Found;
  before(async () => {
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess fetch
TSGIScriptAlias /fetch @APPS@/responses.mjs process-group=fetch
TSGIScriptAlias /own @APPS@/own-response.mjs process-group=fetch
TSGIScriptAlias /frozen @ROOT@/apps/frozen.mjs process-group=fetch
TSGIScriptAlias /server @ROOT@/apps/server.js process-group=fetch
`,
    });
    httpd.write(
      'server.js',
      `const before = [Response, Request, fetch];
module.exports = (req, res) => {
  res.end(String([Response, Request, fetch].every((value, i) => value === before[i])));
};`,
    );
    httpd.write(
      'frozen.mjs',
      `for (const one of [Response, Request, fetch]) {
  if (one.prototype) Object.freeze(one.prototype);
  Object.freeze(one);
  Object.defineProperty(globalThis, one.name, { configurable: false, writable: false });
}
export default { fetch: () => new Response('frozen') };`,
    );
    await httpd.start();
    found = JSON.parse((await httpd.ask('/fetch')).body) as Found;
  });
  after(() => httpd.stop());

  it('is of the class that the worker has made cheaper', () => {
    expect(found.isReplaced).to.equal(true);
    expect(Object.keys(found.before)).to.have.length.above(150);
  });

  it("behaves in everything as Node's own", () => {
    const differences = Object.keys(found.before).filter(
      (name) => JSON.stringify(found.before[name]) !== JSON.stringify(found.after[name]),
    );
    for (const name of differences) {
      expect(found.after[name], name).to.deep.equal(found.before[name]);
    }
    expect(differences).to.deep.equal([]);
  });

  it('is left alone if the app has brought the class along', async () => {
    const answer = await httpd.ask('/own');
    expect([answer.headers['x-own'], answer.body]).to.deep.equal(['yes', 'still its own: true']);
  });

  it('is left alone if the app has frozen the class', async () => {
    for (let i = 0; i < 2; i++) expect((await httpd.ask('/frozen')).body).to.equal('frozen');
  });

  it('is the only one that differs: an app of (req, res) keeps the globals of Node', async () => {
    for (let i = 0; i < 2; i++) expect((await httpd.ask('/server')).body).to.equal('true');
  });
});
