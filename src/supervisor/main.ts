/**
 * The supervisor of a process group. Apache's parent starts it as the group's user, with the
 * command socket as fd 3 and the log pipe as fd 4; it starts, watches and replaces the workers.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { errorLine, TsgiError } from '../errors.ts';
import { native } from '../native.ts';
import { parseCommand } from './commands.ts';
import type { SupervisorEvent } from './context.ts';
import { Door } from './door.ts';
import { Group } from './group.ts';
import type { Question } from './inquest.ts';
import { LEVEL, Log } from './log.ts';
import { Loop } from './loop.ts';
import { spawnWorker } from './spawn.ts';
import { usageOf } from './usage.ts';

const COMMAND_FD = 3;
const LOG_FD = 4;

const log = new Log((packet) => native.writePacket(LOG_FD, packet));
const isTracing = process.env['TSGI_TRACE'] === '1';

function trace(text: string): void {
  if (isTracing) log.host(LEVEL.debug, text);
}

function closeFd(fd: number): void {
  try {
    closeSync(fd);
  } catch (error) {
    trace(`close of fd ${String(fd)} failed: ${String(error)}`);
  }
}

function exit(status: number): void {
  log.flush();
  process.exit(status);
}

const group = new Group({
  log,
  native,
  spawn: spawnWorker,
  workerFile: join(__dirname, 'worker.cjs'),
  post: (event) => {
    loop.post(event);
  },
  now: () => performance.now(),
  usageOf,
  closeFd,
  trace,
  setTitle: (title) => {
    process.title = title;
  },
  openDoor: (fd, { peerUid, secret }) => {
    const onQuestion = (question: Question): void => {
      loop.post({ kind: 'question', question });
    };
    const now = (): number => performance.now();
    new Door({ native, log, closeFd, now, onQuestion, fd, peerUid, secret });
  },
  exit,
});

const loop = new Loop<SupervisorEvent>({
  order: Group.order,
  act: (event) => {
    group.act(event);
  },
  duties: () => group.duties(),
  now: () => performance.now(),
});

function complain(reason: string): void {
  log.host(LEVEL.error, errorLine(502, { reason }));
}

/** One packet from Apache; null at the end, or with an error that took its place. */
function onPacket(packet: Buffer | null, fds: readonly number[], error?: Error): void {
  if (error) complain(error.message);
  if (packet === null) {
    const isLost = error !== undefined && 'code' in error && error.code === 'ERR_TSGI_COMMAND';
    if (!isLost) loop.post({ kind: 'orphaned' });
    return;
  }
  try {
    loop.post({ kind: 'command', command: parseCommand(packet, fds) });
  } catch (malformed) {
    fds.forEach(closeFd);
    log.host(LEVEL.error, malformed instanceof TsgiError ? malformed.message : String(malformed));
  }
}

// Apache's parent ignores SIGINT's meaning for its children: a Ctrl-C at the terminal reaches
// Apache, which tells us. A handler for SIGUSR1 keeps Node from opening its inspector.
const ignore = (): void => undefined;
process.on('SIGINT', ignore);
process.on('SIGUSR1', ignore);
process.on('SIGTERM', (signal) => {
  loop.post({ kind: 'signal', signal: signal as 'SIGTERM' });
});
process.on('SIGHUP', (signal) => {
  loop.post({ kind: 'signal', signal: signal as 'SIGHUP' });
});
process.on('uncaughtException', (error) => {
  log.host(LEVEL.error, errorLine(500, { reason: error.stack ?? String(error) }));
  exit(70);
});

process.title = `tsgi: supervisor ${process.argv[2] ?? ''}`;
native.closeOnExec(COMMAND_FD);
native.closeOnExec(LOG_FD);
native.receiveCommands(COMMAND_FD, onPacket);
// From here on the end of the command socket says that Apache is gone. A process that somebody has
// stopped has to be woken to see it, which the SIGTERM that was asked for before exec would not do.
native.setParentDeathSignal(constants.signals.SIGCONT, process.ppid);
loop.wake();
