import { expect } from 'chai';
import { describeDeath, describeExit, findCause, isOrderly } from '../../src/supervisor/deaths.ts';
import { boundedWords, Inquest, type Question } from '../../src/supervisor/inquest.ts';
import { countOomKills, OomWatch } from '../../src/supervisor/oom.ts';

describe('the cause of a death', () => {
  it('is the last line that looks like an error, and where in the app it came from', () => {
    const lines = [
      '/srv/app.js:3',
      'TypeError: x is not a function',
      '    at Array.map (<anonymous>)',
      '    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)',
      '    at deep (/srv/app.js:3:1)',
      '    at outer (/srv/app.js:9:1)',
      '',
      'Node.js v20.20.2',
    ];
    expect(findCause(lines)).to.equal('TypeError: x is not a function at deep (/srv/app.js:3:1)');
    expect(findCause(['Error [ERR_X]: bad', 'bye'])).to.equal('Error [ERR_X]: bad');
  });

  it('is the last line that says anything where none does', () => {
    expect(findCause(['Killed', ' '])).to.equal('Killed');
    expect(findCause([])).to.equal(undefined);
  });

  it('is no frame of a stack', () => {
    const stack = [
      '----- Native stack trace -----',
      ' 1: 0xb76dc5 node::Abort() [node]',
      '----- JavaScript stack trace -----',
      '    at Server.<anonymous> (/srv/app.js:3:1)',
      '',
    ];
    expect(findCause(stack)).to.equal(undefined);
    expect(findCause(['FATAL ERROR: v8::Object Out of range', ...stack])).to.match(/^FATAL ERROR/);
  });
});

describe('the words for a death', () => {
  const of = (death: Partial<Parameters<typeof describeDeath>[0]>): string =>
    describeDeath({ status: null, signal: null, ...death });
  const lines = ['TypeError: x', '    at y'];

  it('are the exit status or the signal', () => {
    expect(describeExit(1, null)).to.equal('exit status 1');
    expect(of({ status: 3 })).to.equal('exit status 3');
    expect(of({ signal: 'SIGSEGV' })).to.equal('signal SIGSEGV');
  });

  it('and what it wrote last', () => {
    expect(of({ status: 1, lines })).to.equal('exit status 1, last on stderr: TypeError: x');
    expect(of({ signal: 'SIGSEGV', lines: ['\x1b[31mbad\x1b[0m news '] })).to.equal(
      'signal SIGSEGV, last on stderr: bad news',
    );
  });

  it('but not if it ended as it wanted, or was asked to', () => {
    expect(of({ status: 0, lines })).to.equal('exit status 0');
    expect(of({ signal: 'SIGTERM', lines })).to.equal('signal SIGTERM');
    expect(of({ status: 0, wasDraining: true })).to.equal(
      'exit status 0, after it was told to finish',
    );
    expect(isOrderly({ status: 1, signal: null })).to.equal(false);
  });

  it('name the limit for which the supervisor killed it', () => {
    expect(of({ signal: 'SIGKILL', killedBy: 505, lines })).to.equal(
      'signal SIGKILL, sent by the supervisor: startup-timeout (TSGI0505)',
    );
    expect(of({ signal: 'SIGKILL', killedBy: 516, isMemoryShort: true })).to.equal(
      'signal SIGKILL, sent by the supervisor: memory-limit (TSGI0516)',
    );
    expect(of({ signal: 'SIGKILL', killedBy: 508, wasDraining: true })).to.equal(
      'signal SIGKILL, sent by the supervisor: its time to finish was over (TSGI0508), after it was told to finish',
    );
    expect(of({ status: 1, killedBy: 508, lines: [] })).to.equal('exit status 1');
  });

  it('suspect the kernel when it has killed for lack of memory lately', () => {
    expect(of({ signal: 'SIGKILL', isMemoryShort: true, lines })).to.equal(
      'signal SIGKILL, probably by the kernel, out of memory',
    );
    expect(of({ signal: 'SIGSEGV', isMemoryShort: true })).to.equal('signal SIGSEGV');
  });

  it("know the end of V8's heap", () => {
    const heap = [
      'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory',
      ' 1: 0xb76dc5 node::Abort() [node]',
    ];
    for (const end of [{ signal: 'SIGABRT' }, { status: 134 }, { signal: 'SIGTRAP' }]) {
      expect(of({ ...end, lines: heap })).to.match(/, out of memory: V8's heap limit$/);
    }
    expect(of({ status: 1, lines: heap })).to.match(/^exit status 1, last on stderr: FATAL ERROR/);
    expect(of({ signal: 'SIGABRT', lines })).to.equal(
      'signal SIGABRT, last on stderr: TypeError: x',
    );
  });
});

describe("the kernel's kills for lack of memory", () => {
  const files = (texts: Record<string, string>) => (path: string) => texts[path] ?? '';
  const vmstat = { '/proc/vmstat': 'nr_free_pages 9\noom_kill 7\n' };

  it("are counted by the group's own cgroup, else by the machine", () => {
    expect(countOomKills(files({}))).to.equal(0);
    expect(countOomKills(files(vmstat))).to.equal(7);
    const cgroup = {
      ...vmstat,
      '/proc/self/cgroup': '4:memory:/old\n0::/system.slice/apache2.service\n',
      '/sys/fs/cgroup/system.slice/apache2.service/memory.events':
        'low 0\noom 3\noom_kill 2\noom_group_kill 0\n',
    };
    expect(countOomKills(files(cgroup))).to.equal(2);
  });

  it('explain a death for 10 to 20 s', () => {
    let kills = 5;
    const watch = new OomWatch(0, () => kills);
    expect(watch.hasGrown).to.equal(false);
    kills = 6;
    expect(watch.hasGrown).to.equal(true);
    expect(watch.duties(9_999)).to.equal(10_000);
    expect(watch.duties(10_000)).to.equal(20_000);
    expect(watch.hasGrown).to.equal(true);
    watch.duties(20_000);
    expect(watch.hasGrown).to.equal(false);
  });
});

describe('Inquest', () => {
  const ask = (inquest: Inquest, pid: number, isAlive = false, now = 0): string[] => {
    const heard: string[] = [];
    const question: Question = { pid, answer: (words) => heard.push(words.toString()) };
    inquest.ask(question, isAlive, now);
    return heard;
  };

  it('answers at once for the dead, whose pid may be used again', () => {
    const inquest = new Inquest();
    inquest.died(7, 'exit status 3');
    expect(ask(inquest, 7)).to.deep.equal(['exit status 3']);
    inquest.died(7, 'signal SIGKILL');
    expect(ask(inquest, 7)).to.deep.equal(['signal SIGKILL']);
  });

  it('waits for the death of those that live, and not for long', () => {
    const inquest = new Inquest();
    inquest.died(7, 'of another process that had this pid');
    const [first, second, other] = [
      ask(inquest, 7, true),
      ask(inquest, 7, true),
      ask(inquest, 8, true, 100),
    ];
    expect(inquest.duties(249)).to.equal(250);
    inquest.died(7, 'exit status 3');
    expect([first, second, other]).to.deep.equal([['exit status 3'], ['exit status 3'], []]);
    expect(inquest.duties(349)).to.equal(350);
    expect(inquest.duties(350)).to.equal(Infinity);
    expect(other).to.deep.equal(['it lives; the connection was closed']);
  });

  it('remembers 64 deaths', () => {
    const inquest = new Inquest();
    for (let pid = 1; pid <= 65; pid++) inquest.died(pid, String(pid));
    expect(ask(inquest, 1)[0]).to.match(/not known/);
    expect(ask(inquest, 2)).to.deep.equal(['2']);
    expect(ask(inquest, 65)).to.deep.equal(['65']);
  });

  it('knows of the workers of a supervisor before it that they died with it', () => {
    const inquest = new Inquest();
    expect(ask(inquest, 9)[0]).to.match(/its supervisor does not know it/);
    inquest.succeed();
    expect(ask(inquest, 9)).to.deep.equal(['it died with its supervisor']);
    for (let pid = 100; pid < 165; pid++) inquest.died(pid, '');
    expect(ask(inquest, 9)[0]).to.match(/its supervisor does not know it/);
  });

  it('gives answers of 512 bytes at most, cut off between two characters', () => {
    expect(boundedWords('a'.repeat(512)).length).to.equal(512);
    for (const text of [
      'a'.repeat(600),
      'ä'.repeat(300),
      `a${'€'.repeat(200)}`,
      '😀'.repeat(200),
    ]) {
      const words = boundedWords(text);
      expect(words.length).to.be.within(506, 512);
      expect(words.toString()).to.match(/^[aä€😀]+…$/u);
    }
  });
});
