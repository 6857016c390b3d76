/**
 * What may differ between `node app.cjs` and the same app below Apache, each with its reason. The suite takes
 * these out of both sides and compares the rest; one that no case needs fails the suite.
 */
import { nothing, type Field, type Seen, type Transport } from './client.ts';

/** What the app has seen of a request. */
export interface View {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
  readonly rawTrailers: readonly string[];
  readonly notes: readonly string[];
}

/** Both ends of one exchange. */
export interface Outcome {
  readonly seen: Seen;
  /** null: the request did not reach the app. */
  readonly view: View | null;
}

export interface Difference {
  readonly reason: string;
  /** Where it is to be expected; everywhere if missing. */
  readonly on?: readonly Transport[];
  /** Names of the cases that it is about; all if missing. */
  readonly cases?: RegExp;
  /** @returns the outcome without what may differ. */
  readonly without: (outcome: Outcome) => Outcome;
}

type Change<T> = (value: T) => T;

const inSeen =
  (change: Change<Seen>) =>
  ({ seen, view }: Outcome): Outcome => ({ seen: change(seen), view });
const inView =
  (change: Change<View>) =>
  ({ seen, view }: Outcome): Outcome => ({ seen, view: view && change(view) });
const inHeaders = (change: Change<readonly Field[]>) =>
  inSeen((seen) => ({ ...seen, headers: change(seen.headers) }));
const withoutHeaders = (...names: string[]) =>
  inHeaders((fields) => fields.filter(([name]) => !names.includes(name.toLowerCase())));
const withNotes = (change: Change<readonly string[]>) =>
  inView((view) => ({ ...view, notes: change(view.notes) }));

function withoutRequestHeaders(...names: string[]) {
  return inView((view) => ({
    ...view,
    rawHeaders: view.rawHeaders.filter(
      (_, i, all) => !names.includes((all[i - (i % 2)] ?? '').toLowerCase()),
    ),
  }));
}

/** Sorted by name; those of one name keep their order. */
const sorted = (fields: readonly Field[]): Field[] =>
  fields.toSorted(([a], [b]) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));

const lower = (fields: readonly Field[]): Field[] =>
  fields.map(([name, value]) => [name.toLowerCase(), value]);

/** Values of one name joined, but for Set-Cookie. */
function joined(fields: readonly Field[]): Field[] {
  const list: [string, string][] = [];
  for (const [name, value] of fields) {
    const before = name === 'set-cookie' ? undefined : list.find(([other]) => other === name);
    if (before === undefined) list.push([name, value]);
    else before[1] += `, ${value}`;
  }
  return list;
}

function joinedRaw(raw: readonly string[]): string[] {
  const fields = raw.flatMap((name, i): Field[] => (i % 2 ? [] : [[name, raw[i + 1] ?? '']]));
  const list: [string, string][] = [];
  for (const [name, value] of fields) {
    const before = list.find(([other]) => other.toLowerCase() === name.toLowerCase());
    if (before === undefined) list.push([name.toLowerCase(), value]);
    else before[1] += `${/^cookie$/i.test(name) ? '; ' : ', '}${value}`;
  }
  return list.toSorted(([a], [b]) => (a < b ? -1 : 1)).flat();
}

export const differences: Readonly<Record<string, Difference>> = {
  'hop-by-hop headers of the response': {
    reason:
      "Connection, Keep-Alive, Upgrade and Transfer-Encoding are about the client's connection, which is httpd's (RFC 9110 section 7.6.1)",
    without: withoutHeaders('connection', 'keep-alive', 'upgrade', 'transfer-encoding'),
  },
  'hop-by-hop headers of the request': {
    reason: 'Connection and Keep-Alive have been acted on by httpd',
    without: withoutRequestHeaders('connection', 'keep-alive'),
  },
  'Server and Date': {
    reason:
      'httpd is the server that they are about and sends its own; it takes those of a proxy only, and no module can tell it otherwise',
    without: withoutHeaders('server', 'date'),
  },
  'Content-Length': {
    reason:
      'what the app or Node tells is told, but for a 0 in the answer to HEAD, which httpd leaves out; httpd adds it where the body was whole before the head left, and Node would send chunks',
    without: withoutHeaders('content-length'),
  },
  'a connection that the server closes': {
    reason:
      "httpd decides: it closes after an answer of 400, 413, 500 or 503, and an app cannot close it: the connection may carry others' requests",
    on: ['http', 'tls'],
    cases: /\/(close|status-500|timeout|zero-length)$/,
    without: inSeen((seen) => ({ ...seen, isKept: false })),
  },
  'connections of HTTP/2': {
    reason: 'one carries all requests, and no answer ends it',
    on: ['h2'],
    without: inSeen((seen) => ({ ...seen, isKept: false })),
  },
  'an answer where the app destroys the socket': {
    reason:
      'Node closes the connection without a word, whereupon browsers and proxies send the request again; Apache answers 500 and logs TSGI0712',
    cases: /\/(destroy|strict-length|req-timeout|no-timeout-listener)$|destroys the request/,
    without: ({ view }) => ({ seen: nothing(), view }),
  },
  'order of events between request and response': {
    reason:
      "each object's events come in Node's order; a response's finish comes when it has left at the end of the turn",
    without: withNotes((notes) => [
      ...notes.filter((note) => note.startsWith('req ')),
      ...notes.filter((note) => !note.startsWith('req ')),
    ]),
  },
  'the answer of write()': {
    reason:
      'Node says false of a piece of 16 or 64 KiB and more though the kernel takes it at once; here it says so, and drain follows, where something waits indeed',
    cases: /\/drain$/,
    without: withNotes((notes) => notes.filter((note) => !/^(?:written|drain) /.test(note))),
  },
  'the body behind a refused expectation': {
    reason:
      'Node ends the connection and the request with it; httpd knows that no body comes, and the request ends as one without',
    cases: /refused/,
    without: withNotes((notes) => notes.filter((note) => !note.startsWith('req '))),
  },
  'dot segments of the path': {
    reason:
      'httpd resolves . and .. before it applies access rules; an app must not see another path than they did',
    cases: /^target .*(\/\.\/|\/%2e)/,
    without: inView((view) => ({
      ...view,
      url: new URL(view.url, 'http://a').pathname,
    })),
  },
  'a fragment in the request target': {
    reason: 'httpd refuses it (RFC 9112 section 3.2 allows none)',
    cases: /^target .*#/,
    without: () => ({ seen: nothing(), view: null }),
  },
  'a NUL in the path': {
    reason: 'httpd answers 404 to %00: no file can have such a name, and it looks for one',
    cases: /^target .*%00/,
    without: () => ({ seen: nothing(), view: null }),
  },
  TRACE: {
    reason: 'httpd answers it itself, as TraceEnable says',
    cases: /^method TRACE$/,
    without: () => ({ seen: nothing(), view: null }),
  },
  'expectations other than 100-continue': {
    reason: 'httpd answers 417 itself, as Node does where nobody listens to checkExpectation',
    cases: /^another expectation$/,
    without: ({ seen }) => ({ seen: { ...nothing(), status: seen.status }, view: null }),
  },
  'methods that node:http does not know': {
    reason: 'its parser refuses them; httpd passes them on',
    cases: /^method FOO$/,
    without: () => ({ seen: nothing(), view: null }),
  },
  alpnProtocol: {
    reason:
      'it is http/1.1, what the app speaks; httpd does not tell modules whether the client has named a protocol',
    on: ['tls'],
    cases: /^GET \/client$/,
    without: inSeen((seen) => ({
      ...seen,
      body: seen.body.replace(/"alpnProtocol":[^,]*,/, ''),
    })),
  },
  'how much of a body came before the client went away': {
    reason: 'it depends on the sizes of buffers, and on time',
    cases: /goes away in the response/,
    without: inSeen((seen) => ({ ...seen, body: '' })),
  },
  'names of headers in HTTP/2': {
    reason: 'they are lower case, and there is no reason phrase (RFC 9113 section 8.2.1, 8.3.2)',
    on: ['h2'],
    without: inSeen((seen) => ({
      ...seen,
      reason: '',
      headers: lower(seen.headers),
      trailers: lower(seen.trailers),
      interim: seen.interim.map((one) => ({ ...one, headers: lower(one.headers) })),
    })),
  },
  'repeated headers in HTTP/2': {
    reason:
      'mod_http2 joins them in both directions, Set-Cookie excepted, and puts Host at the end',
    on: ['h2'],
    without: ({ seen, view }) => ({
      seen: { ...seen, headers: sorted(joined(lower(seen.headers))) },
      view: view && { ...view, rawHeaders: joinedRaw(view.rawHeaders) },
    }),
  },
  'a refused expectation in HTTP/2': {
    reason:
      'mod_http2 resets the stream of a body that was not wanted, with the answer on its way; it does so for static files as well',
    on: ['h2'],
    cases: /^Expect: .* refused$/,
    without: inSeen((seen) => ({ ...seen, body: '' })),
  },
  'Transfer-Encoding of no body in HTTP/2': {
    reason:
      'a request tells there whether a body follows; one that ends with its head has no chunks of none',
    on: ['h2'],
    without: withoutRequestHeaders('transfer-encoding'),
  },
  'early hints in HTTP/2': {
    reason: 'mod_http2 sends 103 only with H2EarlyHints on',
    on: ['h2'],
    cases: /(early-hints|hints-and-more)$/,
    without: inSeen((seen) => ({
      ...seen,
      interim: seen.interim.filter(({ status }) => status !== 103),
    })),
  },
};
