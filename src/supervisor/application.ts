/** An application group: its slots, and the rules by which their workers come and go. */
import { errorLine } from '../errors.ts';
import {
  parseToSupervisor,
  type ClusterFork,
  type DrainMessage,
  type ScriptSet,
} from '../ipc/messages.ts';
import type { AppCommand } from './commands.ts';
import type { Context, ExitEvent } from './context.ts';
import type { Death } from './deaths.ts';
import { launchWorker } from './launch.ts';
import { expire, release, retire } from './leaving.ts';
import { LEVEL } from './log.ts';
import { Recycler } from './recycler.ts';
import { refuseAll } from './refuse.ts';
import { Renewal, type RenewalReason, type Turn } from './renewal.ts';
import { deathCode, Reports } from './reports.ts';
import { Slot } from './slot.ts';
import { move, slotMoves, workerMoves } from './states.ts';
import { watchScripts, type Watch } from './watch.ts';
import { Vigil } from './vigil.ts';
import type { Worker } from './worker.ts';

export class Application {
  readonly name: string;
  readonly slots: readonly Slot[];
  readonly scripts: ScriptSet;
  forceTsx = false;
  /** What its entry has asked for with cluster.fork(). */
  clusterFork: ClusterFork | undefined;
  readonly #context: Context;
  readonly #reports: Reports;
  readonly #renewal: Renewal;
  readonly #recycler: Recycler;
  readonly #vigil: Vigil;
  readonly #scriptWatch: Watch | undefined;
  #isLeaving = false;

  /** @param firstOrdinal number of the first slot within the whole process group. */
  constructor(context: Context, command: AppCommand, firstOrdinal: number) {
    this.#context = context;
    this.#renewal = new Renewal(context.options.reload === 'all');
    this.#reports = new Reports(context, this);
    this.name = command.application;
    this.scripts = command.scripts;
    this.slots = command.fds.map(
      (fd, index) =>
        new Slot(index, firstOrdinal + index, `slot ${this.title}/${String(index)}`, fd),
    );
    this.#recycler = new Recycler({
      context,
      slots: this.slots,
      renewal: this.#renewal,
      reports: this.#reports,
      isOnDemand: command.start === 'on-demand',
      sleep: (slot) => {
        this.#sleep(slot);
      },
    });
    this.#vigil = new Vigil(context, this.#reports, this.slots);
    if (context.options.isReloading) this.#scriptWatch = watchScripts(context, this);
    if (command.start === 'boot') for (const slot of this.slots) this.#start(slot);
  }

  /** The name as a person knows it. */
  get title(): string {
    return this.name === '' ? '%{GLOBAL}' : this.name;
  }

  /** No process of it is left. */
  get isEmpty(): boolean {
    return this.slots.every((slot) => slot.workers().next().done === true);
  }

  /** It is a worker of this application, and not known to be dead. */
  hasWorker(pid: number): boolean {
    return this.slots.some((slot) =>
      [...slot.workers()].some(({ process }) => process.pid === pid),
    );
  }

  /**
   * Replaces the workers, as reload= says; a slot that waits tries again at once. A reload that is
   * under way begins anew: its fresh worker may have read what was there before.
   */
  reload(): void {
    if (this.#isLeaving) return;
    this.forceTsx = false;
    this.clusterFork = undefined;
    for (const slot of this.slots) {
      slot.backoff.reset();
      slot.refusal = undefined;
      if (slot.state === 'waiting') slot.retryAt = 0;
      if (slot.successor) this.#evict(slot.successor);
      this.#renewal.add(slot, 'reload');
    }
  }

  /** Files that are watched have changed. */
  onTouched(paths: readonly string[]): void {
    if (this.#isLeaving) return;
    const [file = ''] = paths;
    const more = paths.length > 1 ? ` and ${String(paths.length - 1)} more` : '';
    const text = errorLine(513, { application: this.title, file: file + more });
    this.#context.log.host(LEVEL.notice, text);
    this.reload();
  }

  /** Takes the application out of service. A later call may only shorten the time. */
  drain(reason: DrainMessage['reason'], timeoutMs: number): void {
    this.#isLeaving = true;
    this.#scriptWatch?.stop();
    this.#renewal.clear();
    for (const slot of this.slots) {
      if (slot.state !== 'closed') this.#move(slot, 'closed');
      for (const worker of [...slot.workers()]) release(this.#context, worker, reason, timeoutMs);
    }
  }

  /** Closes the sockets; nothing of it runs any more. */
  close(): void {
    for (const slot of this.slots) {
      slot.closeWatcher();
      this.#context.closeFd(slot.fd);
    }
  }

  onConnection(slot: Slot): void {
    if (slot.state === 'idle') {
      this.#start(slot);
    } else if (slot.isWatching && slot.refusal !== undefined) {
      refuseAll(this.#context, this.#reports, slot, slot.refusal);
    }
  }

  onLine(worker: Worker, line: string): void {
    try {
      const message = parseToSupervisor(line);
      if (message.type === 'ready') this.#onReady(worker);
      else if (message.type === 'failed') worker.failure ??= message;
      else if (message.type === 'leaving') this.#onLeaving(worker);
      else if (message.type === 'beat') this.#vigil.onBeat(worker);
      else if (message.type === 'blocked') this.#vigil.onBlocked(worker, message);
      else if (message.type === 'stats') this.#recycler.onStats(worker, message);
      else if (message.type === 'loaded') this.#scriptWatch?.learn(message.script, message.stamp);
      else if (worker.allowance.take('host', message.text.length)) {
        this.#context.log.host(message.level, message.text, worker.process.pid);
      }
    } catch (error) {
      if (!worker.allowance.take('host', line.length)) return;
      const reason = error instanceof Error ? error.message : String(error);
      this.#reports.worker(LEVEL.error, 511, worker, { reason });
    }
  }

  onExit(event: ExitEvent): void {
    const { worker, error } = event;
    const { slot } = worker;
    const wasDraining = worker.state === 'draining';
    const death = this.#reports.inquire(event);
    move(worker, 'dead', workerMoves, this.#context.trace);
    slot.leaving.delete(worker);
    const wasSuccessor = slot.successor === worker;
    if (wasSuccessor) slot.successor = undefined;
    if (slot.current === worker) slot.current = undefined;
    if (wasDraining || slot.state === 'closed') return;
    if (this.#learn(worker)) this.#startAgain(slot, worker);
    else if (wasSuccessor) this.#giveUp(worker, death, error);
    else this.#replace(worker, death, error);
  }

  /** What is due by time. @returns when it has to be called again. */
  duties(): number {
    const now = this.#context.now();
    for (const slot of this.slots) {
      for (const worker of slot.workers()) expire(this.#reports, worker, now);
      if (slot.state === 'waiting' && slot.retryAt <= now) this.#start(slot);
    }
    const review = this.#isLeaving ? Infinity : this.#recycler.duties(now);
    for (const turn of this.#renewal.take(this.slots)) this.#renew(turn);
    let next = Math.min(review, this.#vigil.duties(now));
    for (const slot of this.slots) {
      slot.syncWatcher(now, () => this.#watchSocket(slot));
      if (slot.restUntil > now) next = Math.min(next, slot.restUntil);
      for (const worker of slot.workers()) next = Math.min(next, worker.deadline);
      if (slot.state === 'waiting') next = Math.min(next, slot.retryAt);
    }
    return next;
  }

  #watchSocket(slot: Slot): ReturnType<Context['native']['watchReadable']> {
    const watcher = this.#context.native.watchReadable(slot.fd, () => {
      // Level-triggered: stopped until the loop has acted, which starts it again if need be.
      watcher.stop();
      this.#context.post({ kind: 'connection', slot });
    });
    return watcher;
  }

  #move(slot: Slot, to: Slot['state']): void {
    move(slot, to, slotMoves, this.#context.trace);
  }

  /** Starts a worker that takes the slot's place. */
  #start(slot: Slot): void {
    this.#move(slot, 'booting');
    slot.retryAt = Infinity;
    try {
      slot.current = launchWorker(this.#context, this, slot);
    } catch (error) {
      this.#wait(slot, error);
    }
  }

  #startAgain(slot: Slot, { renews }: Worker): void {
    if (renews === undefined) this.#start(slot);
    else this.#renewal.add(slot, renews);
  }

  /** A worker could not even be started, e.g. for an env-file that cannot be read. */
  #wait(slot: Slot, error: unknown): void {
    const delay = slot.backoff.fail();
    const code = this.#reports.notStarted(slot, error, delay);
    this.#retryIn(slot, delay, code);
  }

  #retryIn(slot: Slot, delay: number, refusal: number | undefined): void {
    this.#move(slot, 'waiting');
    slot.retryAt = this.#context.now() + delay;
    slot.refusal = refusal;
  }

  #onReady(worker: Worker): void {
    const { slot } = worker;
    if (worker.state !== 'booting') return;
    move(worker, 'ready', workerMoves, this.#context.trace);
    worker.readyAt = this.#context.now();
    worker.deadline = Infinity;
    this.#recycler.onReady(worker);
    if (slot.successor === worker) {
      const predecessor = slot.current;
      slot.successor = undefined;
      slot.current = worker;
      const reason = worker.renews ?? 'reload';
      worker.renews = undefined;
      if (predecessor && reason === 'recycle') this.#recycle(predecessor);
      else if (predecessor) this.#evict(predecessor);
    }
    slot.refusal = undefined;
    if (slot.state === 'booting') this.#move(slot, 'ready');
  }

  /** @returns whether the worker's failure told how to start the next one better. */
  #learn({ failure, launch }: Worker): boolean {
    if (failure?.needsTsx === true && !launch.forceTsx) this.forceTsx = true;
    else if (failure?.clusterFork && !launch.clusterFork) this.clusterFork = failure.clusterFork;
    else return false;
    this.#context.log.host(LEVEL.info, failure.message);
    return true;
  }

  /** The worker that served the slot, or was to, is dead. */
  #replace(worker: Worker, death: Death, error: Error | undefined): void {
    const delay = this.#succeed(worker, deathCode(worker, error));
    this.#reports.death(worker, death, error, delay);
  }

  /** It ends for a reason of its own: its slot need not wait until it has. */
  #onLeaving(worker: Worker): void {
    if (worker.state !== 'ready' || worker.slot.current !== worker || this.#isLeaving) return;
    this.#reports.worker(LEVEL.notice, 535, worker, {});
    retire(this.#context, worker, this.#context.options.evictionTimeoutMs);
    this.#succeed(worker, 507);
  }

  /**
   * The slot has lost its worker, or the one that was to serve it: the next one takes its place.
   * @returns how long that one has to wait.
   */
  #succeed(worker: Worker, code: number): number {
    const { slot } = worker;
    if (slot.successor) {
      slot.current = slot.successor;
      slot.current.renews = undefined;
      slot.successor = undefined;
      this.#move(slot, 'booting');
      return 0;
    }
    const { delay, isPatient } = slot.lose(worker.readyAt, this.#context.now());
    if (delay === 0) this.#start(slot);
    else this.#retryIn(slot, delay, isPatient ? undefined : code);
    return delay;
  }

  /** The fresh worker beside the one that serves is dead. */
  #giveUp(worker: Worker, death: Death, error: Error | undefined): void {
    this.#reports.death(worker, death, error, Infinity);
    const reason = error?.message ?? 'the fresh worker did not get ready, for the reason above';
    this.#stayOld(worker.slot, worker.renews, reason);
  }

  #stayOld(slot: Slot, why: RenewalReason | undefined, reason: string): void {
    if (why === 'recycle') {
      this.#recycler.onFailure(slot);
      return;
    }
    this.#renewal.clear('reload');
    this.#context.log.host(LEVEL.error, errorLine(512, { ...this.#reports.names(slot), reason }));
  }

  /** Nobody uses the slot's worker: it ends, and the next connection starts another. */
  #sleep(slot: Slot): void {
    const { current } = slot;
    if (!current) return;
    this.#move(slot, 'idle');
    this.#recycle(current);
  }

  /** It has reached a limit of its life. */
  #recycle(worker: Worker): void {
    release(this.#context, worker, 'recycle', this.#context.options.gracefulTimeoutMs);
  }

  /** Somebody outside wants a fresh one in its place. */
  #evict(worker: Worker): void {
    release(this.#context, worker, 'reload', this.#context.options.evictionTimeoutMs);
  }

  /** A fresh worker starts beside the one that serves. */
  #renew({ slot, reason }: Turn): void {
    try {
      slot.successor = launchWorker(this.#context, this, slot);
      slot.successor.renews = reason;
    } catch (error) {
      this.#reports.notStarted(slot, error, Infinity);
      this.#stayOld(slot, reason, error instanceof Error ? error.message : String(error));
    }
  }
}
