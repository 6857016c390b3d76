import { expect } from 'chai';
import { eventTimes } from '../../bench/generators/events.ts';
import { BROWSER_HEADERS } from '../../bench/generators/load.ts';
import { parseH2load } from '../../bench/generators/h2load.ts';
import { parseWrk } from '../../bench/generators/wrk.ts';
import { parseMachineTime } from '../../bench/proc.ts';
import { median, quantile, table } from '../../bench/stats.ts';
import { parseStrace } from '../../bench/strace.ts';

const WRK = `Running 3s test @ http://127.0.0.1:8000/hello
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.21ms    2.50ms  40.11ms   95.31%
    Req/Sec    21.11k     2.29k   24.77k    73.33%
  Latency Distribution
     50%  712.00us
     75%    0.91ms
     90%    1.10ms
     99%    1.50s
  63006 requests in 3.00s, 10.09MB read
Requests/sec:  20999.91
Transfer/sec:      3.36MB
`;

const H2LOAD = `starting benchmark...
finished in 2.01s, 12345.50 req/s, 1.32MB/s
requests: 24691 total, 24755 started, 24691 done, 24690 succeeded, 1 failed, 0 errored, 0 timeout
status codes: 24690 2xx, 0 3xx, 0 4xx, 1 5xx
`;

describe('the output of wrk', () => {
  it('gives requests and percentiles in µs, whatever their unit', () => {
    expect(parseWrk(WRK)).to.deep.equal({
      ...{ requests: 63006, perSecond: 20999.91, p50Us: 712, p99Us: 1_500_000, errors: 0 },
    });
  });

  it('gives the sum of all errors', () => {
    const more = `${WRK}  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 50\n`;
    expect(parseWrk(more).errors).to.equal(60);
  });

  it('counts no connection that httpd closes between requests where there are too many', () => {
    const more = `${WRK}  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 50\n`;
    expect(parseWrk(more, true).errors).to.equal(58);
  });

  it('leaves a percentile open that wrk left out', () => {
    expect(parseWrk(WRK.replace(/ +50%.*\n/, '')).p50Us).to.be.NaN;
  });
});

describe('the output of h2load', () => {
  it('gives requests, percentiles of its log, and failures', () => {
    const log = Array.from({ length: 100 }, (_, i) => `1700000000\t200\t${i + 1}\n`).join('');
    expect(parseH2load(H2LOAD, log)).to.deep.equal({
      ...{ requests: 24690, perSecond: 12345.5, p50Us: 50, p99Us: 99, errors: 1 },
    });
  });

  it('counts answers with another status than 200 as errors', () => {
    const sound = H2LOAD.replace('1 failed', '0 failed');
    expect(parseH2load(sound, '1\t503\t10\n1\t200\t10\n').errors).to.equal(1);
  });
});

describe('the output of strace -c', () => {
  it('gives the sum of all calls, with and without errors beside them', () => {
    const text = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.11    0.012345           3      4115        12 read
 39.89    0.008192           2      4096           writev
------ ----------- ----------- --------- --------- ----------------
100.00    0.020537           2      8211        12 total
`;
    expect(parseStrace(text)).to.equal(8211);
  });

  it('gives 0 where there was none', () => {
    expect(parseStrace('')).to.equal(0);
  });
});

describe('the sum line of /proc/stat', () => {
  it('gives the busy and the whole time in µs, guests counted once', () => {
    const stat = 'cpu  100 10 50 800 20 5 5 10 7 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n';
    expect(parseMachineTime(stat)).to.deep.equal({ busyUs: 1_800_000, totalUs: 10_000_000 });
  });
});

describe('server-sent events', () => {
  it('tell when they were made', () => {
    expect(eventTimes('data: 123 xx\n\ndata: 456 yy\n\n')).to.deep.equal([123n, 456n]);
  });
});

describe('the headers of every request', () => {
  it("are a browser's twelve, with Host", () => {
    const names = BROWSER_HEADERS.map((header) => header.split(':')[0]);
    expect(new Set(['Host', ...names]).size).to.equal(12);
  });
});

describe('statistics', () => {
  it('have the middle value as median, or the mean of the two in the middle', () => {
    expect(median([3, 1, 2])).to.equal(2);
    expect(median([4, 1, 2, 3])).to.equal(2.5);
  });

  it('leave out what was not measured', () => {
    expect(median([NaN, 1, NaN, 3])).to.equal(2);
    expect(median([NaN])).to.be.NaN;
    expect(median([])).to.be.NaN;
  });

  it('have the least value as quantile that the fraction does not exceed', () => {
    const values = [40, 10, 30, 20];
    expect(quantile(values, 0.5)).to.equal(20);
    expect(quantile(values, 0.99)).to.equal(40);
    expect(quantile(values, 0)).to.equal(10);
    expect(quantile([], 0.5)).to.be.NaN;
  });

  it('stand in a table whose columns are as wide as their widest cell', () => {
    expect(
      table(
        ['', 'µs'],
        [
          ['a long name', '1.25'],
          ['b', '10'],
        ],
      ),
    ).to.equal(
      [
        '|             |   µs |',
        '|-------------|-----:|',
        '| a long name | 1.25 |',
        '| b           |   10 |',
      ].join('\n'),
    );
  });
});
