/**
 * A load in a process of its own, so that neither its clients' latencies nor the injection of faults wait for the
 * other's event loop. The process ends with its parent, however that ends.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { LoadOptions, Report } from '../harness/load.ts';
import { waitFor } from '../harness/wait.ts';

/** From the generator's process, several times a second. */
export interface Progress {
  readonly requests: number;
  readonly good: number;
  readonly failed: number;
}

export type ToGenerator =
  | { readonly type: 'start'; readonly options: LoadOptions }
  | { readonly type: 'phase'; readonly name: string }
  | { readonly type: 'pause' | 'resume' | 'stop' };
export type FromGenerator =
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'report'; readonly report: Report };

export class Generator {
  progress: Progress = { requests: 0, good: 0, failed: 0 };
  readonly options: LoadOptions;
  readonly #child: ChildProcess;
  #report: Report | undefined;
  #stopping: Promise<Report> | undefined;

  constructor(options: LoadOptions) {
    this.options = options;
    this.#child = fork(join(import.meta.dirname, 'generator-main.ts'), {
      execArgv: ['--import', 'tsx'],
    });
    this.#child.on('message', (message: FromGenerator) => {
      if (message.type === 'progress') this.progress = message.progress;
      else this.#report = message.report;
    });
    this.#tell({ type: 'start', options });
  }

  /** Latencies count for this phase from now on. */
  phase(name: string): void {
    this.#tell({ type: 'phase', name });
  }

  /** Begins no request until {@link resume}. */
  pause(): void {
    this.#tell({ type: 'pause' });
  }

  resume(): void {
    this.#tell({ type: 'resume' });
  }

  /** Waits until so many more requests were answered well. */
  async served(count: number, timeoutMs = 60_000): Promise<void> {
    const wanted = this.progress.good + count;
    await waitFor(
      () => {
        if (this.#child.exitCode !== null) throw new Error('the load generator has ended');
        return this.progress.good >= wanted;
      },
      { what: `${String(count)} good answers`, timeoutMs },
    );
  }

  /** Lets requests that have begun end. Called again it gives the same report. */
  stop(): Promise<Report> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Ends it in whatever state it is. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #stop(): Promise<Report> {
    const exited = once(this.#child, 'exit');
    this.#tell({ type: 'stop' });
    await exited;
    if (!this.#report) throw new Error('the load generator ended without a report');
    return this.#report;
  }

  #tell(message: ToGenerator): void {
    this.#child.send(message);
  }
}
