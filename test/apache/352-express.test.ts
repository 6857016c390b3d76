import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { place } from '../harness/place.ts';

const config = `
TSGIDaemonProcess express node-args=--allow-natives-syntax
TSGIProcessGroup express
TSGIScriptAlias /alone @ROOT@/apps/alone.cjs
TSGIScriptAlias /beside @ROOT@/apps/beside.cjs
`;
const app = `'use strict';
const express = require('express');
const { createServer, IncomingMessage } = require('node:http');
const app = express();
let last = [{}, {}];
app.use(express.json());
app.post('/echo', (req, res) => res.json(req.body));
app.get('/fail', () => { throw new Error('asked to fail'); });
app.use((error, req, res, next) => res.status(500).send(error.message));
app.get('/admin', (req, res) => res.send(req.get('host')));
app.use((req, res) => {
  const isSame = %HaveSameMap(last[0], req) && %HaveSameMap(last[1], res);
  last = [req, res];
  const own = Object.getPrototypeOf(req) === app.request && Object.getPrototypeOf(res) === app.response;
  res.json({ isSame, own, ip: req.ip, protocol: req.protocol, path: req.path, query: req.query });
});
`;

describe('an Express app', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config });
    symlinkSync(join(place(), 'node_modules'), join(httpd.dir, 'apps', 'node_modules'));
    httpd.write('alone.cjs', `${app}\napp.listen(3000);`);
    httpd.write(
      'beside.cjs',
      `${app}
createServer((req, res) => {
  if (req.url !== '/own') return app(req, res);
  req.query = 'mine';
  res.end(String(req.query) + (Object.getPrototypeOf(req) === IncomingMessage.prototype));
}).listen(3000);`,
    );
    await httpd.start();
  });
  after(() => httpd.stop());

  const get = async (path: string) => JSON.parse((await httpd.ask(path)).body) as unknown;
  const seen = (isSame: boolean) => ({
    ...{ isSame, own: true },
    ...{ ip: '127.0.0.1', protocol: 'http', path: '/x', query: { a: '1' } },
  });

  it('serves, with objects that share their hidden classes from the second request on', async () => {
    expect(await get('/alone/x?a=1')).to.deep.equal(seen(false));
    expect(await get('/alone/x?a=1')).to.deep.equal(seen(true));
    expect(await get('/alone/x?a=1')).to.deep.equal(seen(true));
  });

  it('parses bodies and handles its errors', async () => {
    const echoed = await httpd.ask('/alone/echo', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"a":[1]}',
    });
    expect(echoed.body).to.equal('{"a":[1]}');
    const failed = await httpd.ask('/alone/fail');
    expect(failed).to.include({ status: 500, body: 'asked to fail' });
  });

  it('leaves to code beside it what Node gives', async () => {
    expect((await httpd.ask('/beside/own')).body).to.equal('minetrue');
    expect(await get('/beside/x?a=1')).to.deep.equal(seen(false));
  });
});
