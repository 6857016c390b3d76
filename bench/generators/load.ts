/** What every load generator tells of one run, and what all of them send. */

export interface Load {
  /** Answers that came whole; of event streams, events. */
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Requests that failed, in whatever way. */
  readonly errors: number;
}

export interface Run {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** Sent as Host instead of the URL's. */
  readonly host?: string;
}

/** A generator that hangs is ended so long after its time. */
export const GRACE_MS = 15_000;

/** A browser's headers; with Host, which each generator adds, they are twelve. */
export const BROWSER_HEADERS = [
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Accept-Language: en-US,en;q=0.5',
  'Accept-Encoding: gzip, deflate, br',
  'Cookie: session=0123456789abcdef; theme=dark',
  'Upgrade-Insecure-Requests: 1',
  'Sec-Fetch-Dest: document',
  'Sec-Fetch-Mode: navigate',
  'Sec-Fetch-Site: none',
  'Sec-Fetch-User: ?1',
  'Cache-Control: max-age=0',
] as const;

/** For the command line of a generator. */
export const headerArguments = BROWSER_HEADERS.flatMap((header) => ['-H', header]);
