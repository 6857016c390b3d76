/** Hot reloading of Vite's development server: its protocol, as its client speaks it. */
import { once } from 'node:events';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { freePort, Httpd } from '../harness/httpd.ts';
import { makeCertificate, TLS } from '../harness/tls.ts';
import { waitFor } from '../harness/wait.ts';

describe('Vite’s hot reloading', () => {
  let httpd: Httpd;
  let tls: number;
  let ca: Buffer;
  before(async () => {
    tls = await freePort();
    httpd = await Httpd.prepare({
      modules: ['ssl', 'socache_shmcb'],
      config: `Listen 127.0.0.1:${String(tls)}
SSLSessionCache none
TSGIDaemonProcess vite
TSGIScriptAlias / @APPS@/vite-hmr.js process-group=vite
<VirtualHost 127.0.0.1:${String(tls)}>
  ${TLS}
</VirtualHost>
`,
    });
    ca = makeCertificate(httpd);
    await httpd.start();
  });
  after(() => httpd.stop());

  const path = '/?token=a-token-of-this-server';
  for (const scheme of ['ws', 'wss'] as const) {
    const port = (): number => (scheme === 'wss' ? tls : httpd.port);
    const options = (): object => (scheme === 'wss' ? { ca } : {});

    it(`works over ${scheme}: connected, an update after a change, custom events`, async () => {
      const url = `${scheme}://127.0.0.1:${String(port())}${path}`;
      const ws = new WebSocket(url, 'vite-hmr', options());
      const messages: string[] = [];
      ws.on('message', (data: Buffer) => messages.push(data.toString()));
      await once(ws, 'open');
      expect(ws.protocol).to.equal('vite-hmr');
      await waitFor(() => messages.includes('{"type":"connected"}'));
      expect((await httpd.ask('/change', { method: 'POST' })).body).to.equal('1');
      await waitFor(() => messages.some((text) => text.includes('js-update')));
      ws.send(JSON.stringify({ type: 'custom', event: 'my:event', data: 1 }));
      await waitFor(() => messages.some((text) => text.includes('"answer"')));
      ws.close();
      await once(ws, 'close');
    });

    it(`pings over ${scheme}, by which its client waits for a restarted server`, async () => {
      const ws = new WebSocket(`${scheme}://127.0.0.1:${String(port())}/`, 'vite-ping', options());
      await once(ws, 'open');
      ws.close();
      await once(ws, 'close');
    });

    it(`is refused over ${scheme} without its token`, async () => {
      const ws = new WebSocket(`${scheme}://127.0.0.1:${String(port())}/`, 'vite-hmr', options());
      const [error] = (await once(ws, 'error')) as [Error];
      expect(error.message).to.include('400');
    });
  }
});
