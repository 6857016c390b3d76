/** HostnameLookups and relays: who relays many must not wait for the name of one. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { freePort, Httpd } from '../harness/httpd.ts';
import { makeCertificate, TLS } from '../harness/tls.ts';
import { waitFor } from '../harness/wait.ts';
import { allEcho, openAll } from '../harness/websocket.ts';

/** In the place of the system's: finds no name, and while there is a file `stuck`, does not even come back. */
const SLOW_DNS = `
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>
int getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t hostlen,
                char *service, socklen_t servicelen, int flags) {
    const char *stuck = getenv("TSGI_TEST_STUCK");
    while (stuck != NULL && access(stuck, F_OK) == 0) usleep(1000);
    return EAI_NONAME;
}
`;

describe('relays and host names', () => {
  it('are looked up when a relay begins: none waits for the name of another one', async () => {
    const tls = await freePort();
    const dir = mkdtempSync(join(tmpdir(), 'tsgi-test-'));
    chmodSync(dir, 0o755);
    const stuck = join(dir, 'stuck');
    const library = join(dir, 'slow-dns.so');
    writeFileSync(`${library}.c`, SLOW_DNS);
    execFileSync('cc', ['-shared', '-fPIC', '-o', library, `${library}.c`]);
    const sanitizer = process.env['TSGI_TEST_SANITIZER'];
    const httpd = await Httpd.prepare({
      modules: ['ssl', 'socache_shmcb'],
      // The sanitizers' library must be the first.
      environment: {
        LD_PRELOAD: sanitizer === undefined ? library : `${sanitizer}:${library}`,
        TSGI_TEST_STUCK: stuck,
      },
      config: `Listen 127.0.0.1:${String(tls)}
SSLSessionCache none
TSGIScriptAlias / @APPS@/upgrade.js
<VirtualHost 127.0.0.1:${String(tls)}>
  ServerName localhost
  ${TLS}
  HostnameLookups On
  CustomLog "@ROOT@/hosts.log" %h
</VirtualHost>
`,
    });
    const log = join(httpd.dir, 'hosts.log');
    try {
      const ca = makeCertificate(httpd);
      await httpd.start();
      const clients = await openAll(6, tls, '/ws', { ca });
      expect(await allEcho(clients)).to.equal(true);
      writeFileSync(stuck, '');
      const [first, ...others] = clients;
      first?.ws.terminate();
      await waitFor(() => existsSync(log) && readFileSync(log, 'utf8') !== '', {
        what: 'the line of the access log',
      });
      expect(readFileSync(log, 'utf8')).to.equal('127.0.0.1\n');
      expect(await allEcho(others)).to.equal(true);
      for (const { ws } of others) ws.terminate();
    } finally {
      rmSync(stuck, { force: true });
      await httpd.stop();
      rmSync(dir, { recursive: true });
    }
  });
});
