/**
 * A worker: loads the app as the main module and serves it. The supervisor starts it with the
 * control socket as fd 3 and the slot's listening socket as fd 4 (docs/architecture.md).
 */
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { promisify } from 'node:util';
import { errorLine } from '../errors.ts';
import { Host } from '../http/host.ts';
import { stampOfSync } from '../ipc/stamp.ts';
import { native } from '../native.ts';
import { announceWorker } from '../tsgi.ts';
import { Apps } from './apps.ts';
import { becomeClusterWorker, interceptFork } from './cluster.ts';
import { CONTROL_FD, readBoot, sendToSupervisor, watchControl } from './control.ts';
import { Drain, type Drainable } from './drain.ts';
import { Guard } from './guard.ts';
import { isDebugged, openInspector } from './inspector.ts';
import { hookListen } from './listen.ts';
import { Readiness } from './readiness.ts';
import { Stats } from './stats.ts';

const LISTEN_FD = 4;
/** syslog(3)'s LOG_WARNING. */
const WARNING = 4;
const FLUSH_MS = 1_000;
/** What it gets when Apache is gone: all of us have to be gone within 5 s. */
const ABANDON_MS = 2_500;
/** Encoded, such a text has less than 32 KiB, which leave whole: the watch thread writes as well. */
const LONGEST_TEXT = 5_000;

const read = readBoot();
const { boot } = read;
native.closeOnExec(CONTROL_FD);
native.closeOnExec(LISTEN_FD);
// The end of the control socket tells the rest; a stopped process has to be able to see it.
if (!native.setParentDeathSignal(constants.signals.SIGCONT, boot.supervisor)) {
  console.error(errorLine(616));
  process.exit(1);
}
// At this signal Node would open its inspector, on a port that nobody has named.
native.ignoreSignal(constants.signals.SIGUSR1);
process.title = boot.title;
process.argv.splice(1, 1);
// The app's modules are all that it finds there.
Reflect.deleteProperty(createRequire(__filename).cache, __filename);

let host: Host | undefined;

function log(level: number, text: string): void {
  sendToSupervisor({ type: 'log', level, text: text.slice(0, LONGEST_TEXT) });
}

const apps = new Apps({
  boot,
  log,
  onLoad: (script) => {
    sendToSupervisor({ type: 'loaded', script, stamp: stampOfSync(script) });
  },
});
const guard = new Guard(() => apps.loading);
const watch = watchControl(native, read, {
  onDrain: ({ timeoutMs, reason }) => {
    guard.disarm();
    drain.begin(timeoutMs, reason);
  },
  // Another supervisor starts other workers: this one only finishes what it has in hand.
  onOrphaned: () => {
    endAlone(boot.gracefulTimeoutMs);
  },
  onAbandoned: () => {
    endAlone(ABANDON_MS);
  },
});
const events = announceWorker({
  processGroup: boot.group,
  applicationGroup: boot.application,
  workerIndex: boot.slot,
  workers: boot.processes,
});
const drain = new Drain({ watch, host: drainable, adopted: () => apps.adopted, events, log });

/** What the environment says, if it is a port. */
function plausiblePort(): number {
  const port = Number(process.env['PORT']);
  return Number.isInteger(port) && port > 0 && port <= 65_535 ? port : boot.port;
}

function drainable(): Drainable | undefined {
  const started = host;
  return (
    started && {
      get inHand(): number {
        return started.inHand;
      },
      async drain(): Promise<void> {
        await started.drain();
        started.channel.unref();
      },
    }
  );
}

/** What the app has started ends with it; the supervisor, whose part that is, has gone. */
function endGroup(): void {
  process.kill(-process.pid, 'SIGKILL');
}

function endAlone(timeoutMs: number): void {
  guard.disarm();
  process.off('exit', endGroup).on('exit', endGroup);
  drain.begin(timeoutMs);
}

/** The supervisor need not wait for the end of this worker to start another. */
function announceLeave(): void {
  if (host && !drain.isDraining) sendToSupervisor({ type: 'leaving' });
}

process.on('SIGTERM', () => {
  guard.disarm();
  announceLeave();
  drain.onSignal(boot.evictionTimeoutMs);
});
process.on('beforeExit', () => {
  apps.onIdle();
});

/** Runs when what is to be done at once has been done: ticks, and what waits for promises. */
function afterThisTurn(callback: () => void): void {
  process.nextTick(() => {
    queueMicrotask(() => {
      process.nextTick(callback);
    });
  });
}

function leave(finish: () => void): void {
  announceLeave();
  drain.onAppClose(boot.gracefulTimeoutMs, finish);
}

/** The app has closed its server, and may end the process, or listen again, before this turn is over. */
let isClosed = false;

/** The app closes its server, to end, or to listen again at once. */
function onClose(server: Server, finish: () => void): void {
  const script = apps.close(server);
  const isLoading = apps.loading?.script === script;
  if (script === undefined || !host || isLoading) finish();
  else if (host.inHand > 0 || drain.isDraining) leave(finish);
  else {
    isClosed = true;
    finish();
    afterThisTurn(() => {
      isClosed = false;
      if (!apps.isServed(script)) leave(() => undefined);
    });
  }
}

process.on('exit', () => {
  if (isClosed) announceLeave();
});

hookListen({
  claim: (server, port) => apps.claim(server, port),
  isClaimed: (server) => apps.isClaimed(server),
  scriptOf: (server) => apps.scriptOf(server),
  release: (server) => {
    apps.release(server);
  },
  decide: (_server, place) => apps.decide(place),
  onDenied: (_server, place) => {
    apps.deny(place);
  },
  onAdopted: (server, port) => {
    apps.adopt(server, port);
  },
  onClose,
  closeConnections: (server) => host?.closeConnections(server),
  bindShared: (address, port, onlyV6) => native.bindShared(address, port, onlyV6),
  anyPort: plausiblePort(),
  apachePort: boot.port,
});

async function closeServers(): Promise<void> {
  const listening = [...apps.adopted].filter((server) => server.listening);
  await Promise.all(listening.map((server) => promisify(server.close.bind(server))()));
}

if (boot.clusterFork) becomeClusterWorker(boot.slot + 1, boot.clusterFork, closeServers);
else {
  interceptFork((clusterFork) => {
    const script = apps.loading?.script ?? process.argv[1] ?? '';
    return guard.restart(errorLine(619, { script }), { clusterFork });
  });
}

// Scripts of a pattern come later, one by one: there is no word to wait for.
const isWaiting = boot.ready === 'message' && boot.scripts.mode === 'exact';
const readiness = isWaiting ? new Readiness() : undefined;

function serve(): Host {
  const started = new Host(native, {
    fd: LISTEN_FD,
    generation: Buffer.from(boot.generation, 'hex'),
    secret: Buffer.from(boot.secret, 'hex'),
    concurrency: boot.concurrency,
    peerUid: boot.peerUid,
    processGroup: boot.group,
    applicationGroup: boot.application,
    multiprocess: boot.processes > 1,
    resolve: (script) => apps.resolve(script),
    maxUpgrades: boot.maxUpgrades,
    upgradeIdleTimeoutMs: boot.upgradeIdleTimeoutMs,
    log,
  });
  const stats = new Stats(started, boot.statsIntervalMs, sendToSupervisor);
  started.notify(boot.maximumRequests, () => {
    stats.tell();
  });
  // As late as can be, so that what the app's own listeners write at the end leaves too.
  process.on('exit', () => {
    started.flush(FLUSH_MS);
  });
  started.start();
  return started;
}

async function run(): Promise<void> {
  const { scripts, startupTimeoutMs, inspector } = boot;
  if (inspector) {
    await openInspector(inspector, (text) => {
      log(WARNING, text);
    });
  }
  const entries = scripts.mode === 'exact' ? await apps.loadAll(scripts.paths) : [];
  await readiness?.wait(entries.join(', '), startupTimeoutMs);
  guard.disarm();
  host = serve();
  if (boot.deadlockTimeoutMs > 0) watch.guard(boot.deadlockTimeoutMs, isDebugged);
  sendToSupervisor({ type: 'ready', entries });
}

run().catch((error: unknown) => guard.fail(error));
