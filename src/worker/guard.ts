/** Tells the supervisor, once and in plain words, why an app could not be loaded. */
import { errorLine, TsgiError } from '../errors.ts';
import type { FailedMessage } from '../ipc/messages.ts';
import type { Loading } from './loading.ts';
import { sendToSupervisor } from './control.ts';
import { classifyFailure, isShownBetterByNode, stackOf } from './failure.ts';
import { missingFeature } from './typescript.ts';

/** Watches the process while it loads. The listeners stay, and do nothing, once it serves. */
export class Guard {
  #isArmed = true;
  readonly #loading: () => Loading | undefined;

  /** @param loading the script that is being loaded now. */
  constructor(loading: () => Loading | undefined) {
    this.#loading = loading;
    process.on('uncaughtExceptionMonitor', (error: unknown) => {
      if (this.#isArmed && !isHandledByApp()) this.#onThrow(error);
    });
    process.on('exit', (status) => {
      if (!this.#isArmed) return;
      this.#report(new TsgiError(610, { script: this.#script, status }));
    });
  }

  /** Everything is loaded. */
  disarm(): void {
    this.#isArmed = false;
  }

  /** Reports, and ends the process. */
  fail(error: unknown): never {
    // What the loader found itself has all of it in its text; a stack would show no code of the app.
    this.#report(classifyFailure(this.#script, error), !(error instanceof TsgiError));
    process.exit(1);
  }

  /** The worker has to be started in another way; says so, and ends the process. */
  restart(message: string, how: Pick<FailedMessage, 'needsTsx' | 'clusterFork'>): never {
    this.#isArmed = false;
    sendToSupervisor({ type: 'failed', code: 615, message, ...how });
    process.exit(1);
  }

  get #script(): string {
    return this.#loading()?.script ?? process.argv[1] ?? 'unknown';
  }

  #onThrow(error: unknown): void {
    const feature = this.#loading()?.runner === 'strip' ? missingFeature(error) : undefined;
    if (feature !== undefined) {
      this.restart(errorLine(615, { script: this.#script, feature }), { needsTsx: true });
    }
    if (!isShownBetterByNode(error)) this.fail(error);
    // Node goes on to print where it is, and ends the process.
    this.#report(classifyFailure(this.#script, error), false);
  }

  #report(error: TsgiError, withStack = true): void {
    this.#isArmed = false;
    const stack = withStack ? stackOf(error.cause) : undefined;
    sendToSupervisor({
      type: 'failed',
      code: error.number,
      message: error.message,
      ...(stack !== undefined && { stack }),
    });
  }
}

/** The app catches its uncaught errors itself, and goes on. */
function isHandledByApp(): boolean {
  return (
    process.listenerCount('uncaughtException') > 0 || process.hasUncaughtExceptionCaptureCallback()
  );
}
