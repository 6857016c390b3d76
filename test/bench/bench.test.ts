/** The benchmark itself, as a command; with loads of its own, so that no other generator has to be installed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Cell } from '../../bench/results.ts';
import { root } from '../harness/place.ts';
import { descendants, processOf } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

const TIMEOUT_MS = 60_000;

class Bench {
  readonly directory = mkdtempSync(join(tmpdir(), 'tsgi-bench-test-'));
  /** What it writes besides its results lies here. */
  readonly temporary = join(this.directory, 'tmp');
  readonly child: ChildProcess;
  output = '';

  constructor(...args: string[]) {
    mkdirSync(this.temporary);
    chmodSync(this.directory, 0o755); // its servers may run as another user
    this.child = spawn(
      process.execPath,
      ['--import', 'tsx', 'bench/main.ts', ...args, '--out', join(this.directory, 'out')],
      {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, TMPDIR: this.temporary },
      },
    );
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    }
  }

  /** All but what tsx keeps for the next time. */
  get left(): string[] {
    return readdirSync(this.temporary).filter((name) => !name.startsWith('tsx-'));
  }

  async ended(): Promise<number | null> {
    await waitFor(() => this.child.exitCode !== null || this.child.signalCode !== null, {
      what: `the end of the benchmark\n${this.output}`,
      timeoutMs: TIMEOUT_MS,
    });
    return this.child.exitCode;
  }

  get cells(): Cell[] {
    const text = readFileSync(join(this.directory, 'out', 'results.json'), 'utf8');
    return (JSON.parse(text) as { cells: Cell[] }).cells;
  }

  async stop(): Promise<void> {
    this.child.kill('SIGINT');
    await this.ended();
    rmSync(this.directory, { recursive: true });
  }
}

function expectFigures(cells: readonly Cell[], contenders: readonly string[]): void {
  expect(cells.map(({ contender }) => contender)).to.deep.equal(contenders);
  for (const { contender, samples } of cells) {
    const [sample] = samples;
    expect(sample?.perSecond, contender).to.be.greaterThan(0);
    expect(sample?.p50Us, contender).to.be.greaterThan(0);
    expect(sample?.cpuUs, contender).to.be.at.least(0);
    expect(sample?.switches, contender).to.be.greaterThan(0);
  }
}

describe('npm run bench', function () {
  this.timeout(2 * TIMEOUT_MS);
  let bench: Bench;
  afterEach(async () => {
    await bench.stop();
  });

  it('measures workers and node:http on a unix socket, and judges the goals', async () => {
    bench = new Bench('worker', '--quick', '--rounds', '1');
    expect(await bench.ended(), bench.output).to.equal(0);
    expectFigures(bench.cells, [
      ...['worker-callable', 'worker-server', 'worker-fetch', 'worker-node', 'worker-srvx'],
    ]);
    expect(bench.output).to.match(
      /worker alone, callable: CPU \/ node:http +\|[^|]+\|[^|]+\| +(reached|missed)/,
    );
    expect(bench.left).to.deep.equal([]);
  });

  it('measures what stands behind, in and without Apache', async () => {
    const names = ['proxy-unix', 'node', 'tsgi-callable', 'tsgi-server'];
    bench = new Bench('events', ...names, '--quick', '--rounds', '1', '--connections', '8');
    expect(await bench.ended(), bench.output).to.equal(0);
    expectFigures(bench.cells, names);
    const [sample] =
      bench.cells.find(({ contender }) => contender === 'tsgi-server')?.samples ?? [];
    expect((sample?.frontUs ?? 0) + (sample?.backUs ?? 0)).to.be.closeTo(
      sample?.cpuUs ?? -1,
      0.001,
    );
    expect(bench.left).to.deep.equal([]);
  });

  it('leaves nothing behind when it is interrupted', async () => {
    bench = new Bench('events', 'proxy-unix', 'tsgi-callable', '--seconds', '60');
    await waitFor(() => bench.output.includes('round 1'), { timeoutMs: TIMEOUT_MS });
    const below = descendants(bench.child.pid ?? 0);
    expect(below.some(({ title }) => title.startsWith('tsgi: worker'))).to.be.true;
    bench.child.kill('SIGINT');
    expect(await bench.ended(), bench.output).to.equal(130);
    expect(bench.output).to.match(/interrupted by SIGINT\n$/); // stopped in order, not swept away
    await waitFor(() => below.every(({ pid, title }) => processOf(pid)?.title !== title), {
      what: 'the end of all servers',
    });
    expect(bench.left).to.deep.equal([]);
  });

  it('leaves nothing behind when it is interrupted twice', async () => {
    bench = new Bench('worker', '--seconds', '60');
    await waitFor(() => bench.output.includes('round 1'), { timeoutMs: TIMEOUT_MS });
    const below = descendants(bench.child.pid ?? 0);
    bench.child.kill('SIGINT');
    bench.child.kill('SIGTERM');
    expect(await bench.ended(), bench.output).to.equal(130);
    await waitFor(() => below.every(({ pid, title }) => processOf(pid)?.title !== title), {
      what: 'the end of all servers',
    });
    expect(bench.left).to.deep.equal([]);
  });

  it('says what it expected when a name means nothing', async () => {
    bench = new Bench('--only', 'nobody');
    expect(await bench.ended()).to.equal(2);
    expect(bench.output).to.match(/^expected contenders \(static, .*got "nobody"\n$/);
  });
});
