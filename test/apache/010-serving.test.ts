import { expect } from 'chai';
import { Httpd, type Mpm } from '../harness/httpd.ts';

const config = `
TSGIScriptAlias /echo @APPS@/echo.js
TSGIScriptAlias /callable @APPS@/callable.js
TSGIScriptAlias /fetch @APPS@/fetch.mjs
TSGIScriptAlias /esm @APPS@/esm.mjs
TSGIScriptAlias /typed @APPS@/typed.ts
`;

for (const mpm of ['event', 'worker', 'prefork'] satisfies Mpm[]) {
  describe(`an unmodified app behind Apache, MPM ${mpm}`, () => {
    let httpd: Httpd;
    before(async () => {
      httpd = await Httpd.start({ config, mpm });
    });
    after(() => httpd.stop());

    it('answers a request by a node:http server that listens', async () => {
      const answer = await httpd.ask('/echo/hello');
      expect(answer.status).to.equal(200);
      expect(answer.body).to.equal('hello');
      expect(answer.headers['content-type']).to.equal('text/plain');
    });

    it('answers by a TSGI callable', async () => {
      const answer = await httpd.ask('/callable/a/b?c');
      expect(answer.body).to.equal('callable GET /callable|/a/b');
    });

    it('answers by a fetch handler', async () => {
      const answer = await httpd.ask('/fetch/x');
      expect(answer.body).to.equal('fetch GET /x');
    });

    it('answers by an ES module with top-level await', async () => {
      const answer = await httpd.ask('/esm');
      expect(answer.body).to.match(/^esm true/);
    });

    it('answers by a TypeScript entry', async () => {
      const answer = await httpd.ask('/typed');
      expect(answer.body).to.equal('typed');
    });

    it('carries a request body and its answer', async () => {
      const answer = await httpd.ask('/echo/hash', { method: 'POST', body: 'x'.repeat(100_000) });
      expect(answer.body).to.match(/^100000 [0-9a-f]{64}$/);
    });

    it('serves many requests on kept connections at once', async () => {
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, i) => httpd.ask(`/callable/${String(i)}`)),
      );
      expect(answers.map((a) => a.body)).to.deep.equal(
        answers.map((_, i) => `callable GET /callable|/${String(i)}`),
      );
    });
  });
}
