/** Sends many requests at once to an app of test/apps/versions/identity-*, each as another user. */
import { expect } from 'chai';
import type { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

/** What the app saw in its AsyncLocalStorage while it served one user. */
interface Seen {
  readonly user: string;
  /** Requests with the same number were handed over together. */
  readonly batch: number;
  /** Before it set its own. */
  readonly before: string | null;
  readonly later: (string | null)[];
  /** In 'data' and 'end' of the request, where Node's versions differ between null and the user. */
  readonly events?: (string | null)[];
}

const REQUESTS = 24;

/** While the worker is busy with the first request, the others gather. */
async function round(httpd: Httpd, mount: string, first: number): Promise<Seen[]> {
  const blocked = httpd.ask(`${mount}/block?ms=150`);
  const answers = await Promise.all(
    Array.from({ length: REQUESTS }, (_, i) => {
      const path = `${mount}/?user=user${first + i}`;
      return i % 2 === 0 ? httpd.ask(path) : httpd.ask(path, { method: 'POST', body: 'a body' });
    }),
  );
  expect((await blocked).status).to.equal(200);
  return answers.map(({ body }) => JSON.parse(body) as Seen);
}

function expectOwn(seen: Seen, user: string): void {
  expect(seen.user).to.equal(user);
  expect(seen.before, `what ${user} found`).to.equal(null);
  expect(new Set(seen.later), `what ${user} saw later`).to.deep.equal(new Set([user]));
  for (const event of seen.events ?? []) expect(event).to.be.oneOf([null, user]);
}

function largestBatch(seen: readonly Seen[]): number {
  return Math.max(...seen.map((one) => seen.filter(({ batch }) => batch === one.batch).length));
}

/** Goes on until several came in one batch. @throws AssertionError if one saw another's user. */
export async function expectSeparateUsers(httpd: Httpd, mount: string): Promise<void> {
  const all: Seen[] = [];
  await waitFor(
    async () => {
      const seen = await round(httpd, mount, all.length + 1);
      all.push(...seen);
      return largestBatch(seen) >= 5;
    },
    { what: 'a batch of at least 5 requests' },
  );
  all.forEach((one, i) => {
    expectOwn(one, `user${i + 1}`);
  });
}
