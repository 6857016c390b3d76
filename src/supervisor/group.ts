/** A process group: its applications, and what Apache and signals tell it to do. */
import { errorLine, TsgiError } from '../errors.ts';
import type { DrainMessage } from '../ipc/messages.ts';
import { Application } from './application.ts';
import type { AppCommand, Command, GroupCommand, GroupOptions } from './commands.ts';
import type { Context, SupervisorEvent } from './context.ts';
import { readGroupEnvironment, withPrivateCompileCache, type Environment } from './environment.ts';
import { Inquest } from './inquest.ts';
import { supervisorTitle } from './launch.ts';
import { LEVEL } from './log.ts';
import { OomWatch } from './oom.ts';

/** How long Apache may take to say what to run. */
const CONFIGURATION_MS = 10_000;
/** What workers get when Apache is gone: all of us have to be gone within 5 s. */
const ORPHAN_MS = 2_500;

/** What a group needs from outside; {@link Context} without what the group itself adds. */
export interface GroupDependencies extends Pick<
  Context,
  'log' | 'native' | 'spawn' | 'workerFile' | 'post' | 'now' | 'usageOf' | 'closeFd' | 'trace'
> {
  readonly setTitle: (title: string) => void;
  /** Opens the socket where Apache asks how workers died. */
  readonly openDoor: (fd: number, options: GroupOptions) => void;
  /** Ends the process. */
  readonly exit: (status: number) => void;
}

/**
 * An application group with another list of scripts is another one, with sockets of its own: while
 * Apache's old children live, both are served.
 */
function keyOf({ application, scripts }: AppCommand): string {
  return JSON.stringify([application, scripts]);
}

export class Group {
  readonly #outside: GroupDependencies;
  readonly #configureBy: number;
  #context: Context | undefined;
  /** By {@link keyOf}. */
  readonly #applications = new Map<string, Application>();
  /** Applications that Apache does not name any more; their workers finish. */
  #leaving: Application[] = [];
  /** Keys that came since the last apps-end. */
  #named = new Set<string>();
  readonly #inquest = new Inquest();
  readonly #oom: OomWatch;
  #ordinals = 0;
  #isDraining = false;
  #environment: Environment | undefined;

  constructor(outside: GroupDependencies) {
    this.#outside = outside;
    this.#configureBy = outside.now() + CONFIGURATION_MS;
    this.#oom = new OomWatch(outside.now());
  }

  /** The order of the loop; docs/signals.md explains it. */
  static readonly order: readonly SupervisorEvent['kind'][] = [
    'command',
    'orphaned',
    'signal',
    'touched',
    'line',
    'exit',
    'question',
    'connection',
  ];

  act(event: SupervisorEvent): void {
    switch (event.kind) {
      case 'command':
        this.#onCommand(event.command);
        break;
      case 'orphaned':
        this.#outside.log.host(LEVEL.notice, errorLine(510, { seconds: ORPHAN_MS / 1000 }));
        this.#drainAll('shutdown', ORPHAN_MS);
        break;
      case 'signal':
        if (event.signal === 'SIGHUP') this.#reload();
        else this.#drainAll('shutdown', this.#context?.options.evictionTimeoutMs ?? 0);
        break;
      case 'touched':
        event.application.onTouched(event.paths);
        break;
      case 'line':
        this.#ownerOf(event.worker.slot.fd)?.onLine(event.worker, event.line);
        break;
      case 'exit':
        this.#ownerOf(event.worker.slot.fd)?.onExit(event);
        break;
      case 'question':
        this.#inquest.ask(
          event.question,
          this.#all().some((application) => application.hasWorker(event.question.pid)),
          this.#outside.now(),
        );
        break;
      case 'connection':
        this.#ownerOf(event.slot.fd)?.onConnection(event.slot);
        break;
    }
  }

  /** What is due by time. @returns when it has to be called again. */
  duties(): number {
    this.#environment = undefined;
    const now = this.#outside.now();
    let next = Math.min(this.#inquest.duties(now), this.#oom.duties(now));
    for (const application of this.#all()) next = Math.min(next, application.duties());
    this.#leaving = this.#leaving.filter((application) => {
      if (application.isEmpty) application.close();
      return !application.isEmpty;
    });
    if (this.#isDraining && this.#all().every((application) => application.isEmpty)) {
      this.#outside.exit(0);
    }
    if (!this.#context) {
      if (now >= this.#configureBy) this.#giveUp();
      next = Math.min(next, this.#configureBy);
    }
    return next;
  }

  #all(): Application[] {
    return [...this.#applications.values(), ...this.#leaving];
  }

  /** A listening socket belongs to one application for life, so it finds the owner of a slot. */
  #ownerOf(fd: number): Application | undefined {
    return this.#all().find(({ slots }) => slots.some((slot) => slot.fd === fd));
  }

  #giveUp(): void {
    this.#outside.log.host(LEVEL.error, errorLine(501, { seconds: CONFIGURATION_MS / 1000 }));
    this.#outside.exit(1);
  }

  #onCommand(command: Command): void {
    switch (command.verb) {
      case 'group':
        this.#configure(command);
        break;
      case 'successor':
        this.#inquest.succeed();
        break;
      case 'app':
        this.#onApp(command);
        break;
      case 'apps-end':
        this.#forgetUnnamed();
        break;
      case 'drain':
        this.#drainAll('removed', this.#context?.options.evictionTimeoutMs ?? 0);
        break;
      case 'shutdown':
        this.#drainAll('shutdown', this.#context?.options.shutdownTimeoutMs ?? 0);
        break;
    }
  }

  #configure({ options, inquestFd }: GroupCommand): void {
    if (this.#context) {
      if (inquestFd !== undefined) this.#outside.closeFd(inquestFd);
      this.#complain('a second group message');
      return;
    }
    const { setTitle, openDoor, ...shared } = this.#outside;
    setTitle(supervisorTitle(options.name, options.displayName));
    this.#context = {
      ...shared,
      options,
      inquest: this.#inquest,
      isMemoryShort: () => this.#oom.hasGrown,
      environment: () =>
        (this.#environment ??= withPrivateCompileCache(
          readGroupEnvironment(options, process.env),
          (text) => {
            shared.log.host(LEVEL.notice, text);
          },
        )),
    };
    if (inquestFd !== undefined) openDoor(inquestFd, options);
  }

  #onApp(command: AppCommand): void {
    const key = keyOf(command);
    const known = this.#applications.get(key);
    if (!this.#context || this.#isDraining || (!known && command.fds.length === 0)) {
      for (const fd of command.fds) this.#outside.closeFd(fd);
      if (!this.#context) this.#complain('app came before group');
      else if (!this.#isDraining) this.#complain(`app ${command.application} came without sockets`);
      return;
    }
    this.#named.add(key);
    if (known && command.fds.length === 0) return;
    if (known) this.#forget(key, known); // Its sockets are other ones now.
    const application = new Application(this.#context, command, this.#ordinals);
    this.#ordinals += command.slots;
    this.#applications.set(key, application);
  }

  #forgetUnnamed(): void {
    for (const [key, application] of this.#applications) {
      if (!this.#named.has(key)) this.#forget(key, application);
    }
    this.#named = new Set();
  }

  #forget(key: string, application: Application): void {
    application.drain('removed', this.#context?.options.evictionTimeoutMs ?? 0);
    this.#applications.delete(key);
    this.#leaving.push(application);
  }

  #reload(): void {
    for (const application of this.#applications.values()) application.reload();
  }

  #drainAll(reason: DrainMessage['reason'], timeoutMs: number): void {
    this.#isDraining = true;
    for (const application of this.#all()) application.drain(reason, timeoutMs);
  }

  #complain(reason: string): void {
    this.#outside.log.host(LEVEL.error, new TsgiError(502, { reason }).message);
  }
}
