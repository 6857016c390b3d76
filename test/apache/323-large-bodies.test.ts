import { expect } from 'chai';
import { blocks, download, sum, upload } from '../harness/bulk.ts';
import { Httpd } from '../harness/httpd.ts';
import { statusOf } from '../harness/processes.ts';
import { isSanitized } from '../harness/sanitizer.ts';
import { waitFor } from '../harness/wait.ts';

const BYTES = 64 * 1024 * 1024 + 1;
/** What Apache's child may grow by while a body goes through, in KiB. */
const BOUND = 24 * 1024;

describe('a body of 64 MiB', () => {
  let httpd: Httpd;
  let expected: string;
  let child: number;
  before(async () => {
    expected = await sum(blocks(BYTES));
    httpd = await Httpd.start({
      modules: ['http2'],
      config: `
Protocols h2c http/1.1
TSGIDaemonProcess bulk
TSGIProcessGroup bulk
TSGIScriptAlias /server @APPS@/bulk.cjs
TSGIScriptAlias /callable @APPS@/bulk-callable.cjs
`,
      limits:
        'StartServers 1\nServerLimit 1\nThreadsPerChild 16\nThreadLimit 16\nMaxRequestWorkers 16\n',
    });
    child = await waitFor(() => httpd.children()[0]);
  });
  after(() => httpd.stop());

  /** The growth, in KiB, of the most memory that Apache's child has ever had in RAM. */
  async function growth(exchange: () => Promise<void>): Promise<number> {
    const peak = () => parseInt(statusOf(child)['VmHWM'] ?? '', 10);
    const before = peak();
    await exchange();
    return peak() - before;
  }

  for (const transport of ['http', 'h2c'] as const) {
    for (const app of ['server', 'callable']) {
      const where = () => ({
        transport,
        path: `/${app}/?bytes=${String(BYTES)}`,
        port: httpd.port,
      });
      it(`goes down whole, and is never held whole: ${app}, ${transport}`, async () => {
        const grown = await growth(async () => {
          expect(await download(where())).to.equal(expected);
        });
        if (!isSanitized) expect(grown).to.be.lessThan(BOUND);
      });

      it(`goes up whole, and is never held whole: ${app}, ${transport}`, async () => {
        const grown = await growth(async () => {
          expect(await upload(where(), BYTES)).to.equal(expected);
        });
        if (!isSanitized) expect(grown).to.be.lessThan(BOUND);
      });
    }
  }
});
