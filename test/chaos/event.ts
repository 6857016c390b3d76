/** What an event of the chaos suite is: faults that are injected, and what must be true of it. */
import type { LoadOptions, Report, Result } from '../harness/load.ts';
import type { AppRecord } from '../harness/record.ts';
import type { Generator } from './generator.ts';
import type { Site, SiteOptions } from './site.ts';

/** What an event has to do its work with. */
export interface Arena {
  readonly site: Site;
  /** The load on the site; also what `served` waits for. */
  readonly load: Generator;
  /** How many faults to inject. */
  readonly times: number;
  /** The full form: times are long enough, and the machine quiet enough, that durations are judged. */
  readonly isTimed: boolean;
  /** A further load, stopped with the event. Its failures count with the others. */
  readonly generate: (options: Omit<LoadOptions, 'port'>) => Generator;
  /** Says why the event fails. */
  readonly fail: (reason: string) => void;
  /** Fails, in the full form only. */
  readonly failTimed: (reason: string) => void;
  /** Whether something has failed so far. */
  readonly failed: boolean;
  /** A figure for the report. */
  readonly note: (text: string) => void;
}

/** What all loads of an event came to. */
export interface Results {
  readonly reports: readonly Report[];
  readonly failures: readonly Result[];
  /** As it is when everything has ended. */
  readonly record: AppRecord;
}

export interface ChaosEvent {
  readonly name: string;
  /** As the table of docs/reliability.md says it. */
  readonly goal: string;
  /** How often in `npm test`; undefined: not there. */
  readonly short?: number;
  /** How often in the full form. */
  readonly full: number;
  /** About how long one takes, for the plan. */
  readonly seconds: number;
  readonly site?: SiteOptions | (() => SiteOptions);
  /** Instead of 64 connections with the mix `site`, 4 of them leaving now and then. */
  readonly load?: Partial<Omit<LoadOptions, 'port' | 'path'>>;
  /** Lines of the error log that the faults bring. */
  readonly log?: readonly RegExp[];
  /** p99 during the faults may be so many times that of before (full form). */
  readonly slower?: number;
  /** What is missing here to run it. */
  needs?(): string | undefined;
  /** Injects the faults, and judges what can be seen from outside. */
  run(arena: Arena): Promise<Verdict | undefined>;
  /** The same faults while the clients ask for a static file: what closes connections of itself. */
  control?(arena: Arena): Promise<void>;
}

/** What only the event itself knows about what its clients saw. */
export interface Verdict {
  /** Whether a failed request is what the goal allows. By default none is. */
  excuses?(failure: Result, results: Results): boolean;
  /** Says what else is wrong or worth a note. */
  judge?(results: Results): void;
}
