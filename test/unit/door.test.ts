import { expect } from 'chai';
import { Door } from '../../src/supervisor/door.ts';

/** A door with nothing behind it; peers wait in `queue` until it accepts them. */
function makeDoor(peerUid: number) {
  const state = {
    queue: [] as ({ fd: number; uid: number } | Error)[],
    closed: [] as number[],
    complaints: [] as string[],
    isListening: false,
    now: 0,
    knock: (): void => undefined,
  };
  new Door({
    fd: 4,
    peerUid,
    secret: '00'.repeat(32),
    now: () => state.now,
    closeFd: (fd) => state.closed.push(fd),
    log: { host: (_level, text) => state.complaints.push(text) },
    onQuestion: () => undefined,
    native: {
      acceptPeer: () => {
        const peer = state.queue.shift();
        if (peer instanceof Error) throw peer;
        return peer;
      },
      writePacket: () => 0,
      watchReadable: (fd, onReadable) => {
        if (fd === 4) state.knock = onReadable;
        return {
          start: () => void (state.isListening ||= fd === 4),
          stop: () => void (state.isListening &&= fd !== 4),
          close: () => undefined,
        };
      },
    },
  });
  return state;
}

describe('Door', () => {
  it("is open to Apache's user and to root", () => {
    const door = makeDoor(33);
    door.queue = [
      { fd: 10, uid: 33 },
      { fd: 11, uid: 0 },
      { fd: 12, uid: 1000 },
    ];
    door.knock();
    expect(door.closed).to.deep.equal([12]);
    expect(door.complaints).to.deep.equal([
      'TSGI0520: a question about the death of a worker was turned away: it came from uid 1000, expected 33',
    ]);
  });

  it('complains once in 10 s', () => {
    const door = makeDoor(33);
    for (const now of [0, 9_000, 10_000]) {
      door.now = now;
      door.queue = [{ fd: 10, uid: 5 }];
      door.knock();
    }
    expect(door.complaints).to.have.length(2);
  });

  it('takes no more than 64 at a time', () => {
    const door = makeDoor(-1);
    door.queue = Array.from({ length: 70 }, (_, i) => ({ fd: 100 + i, uid: i }));
    door.knock();
    expect(door.queue).to.have.length(6);
    expect(door.isListening).to.equal(false);
  });

  it('stops to listen for a moment when nothing can be accepted, and says why', () => {
    const door = makeDoor(-1);
    door.queue = [new Error('EMFILE: too many open files, accept4')];
    door.knock();
    expect(door.isListening).to.equal(false);
    expect(door.complaints[0]).to.match(/^TSGI0521: .*EMFILE.*raise the limit/);
  });
});
