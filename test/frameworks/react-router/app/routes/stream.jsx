import { Suspense } from 'react';
import { Await } from 'react-router';
import { waiting } from '../waiting.server.js';

export function loader() {
  return { first: 'first part', last: new Promise((go) => waiting.add(() => go('last part'))) };
}

export default function Stream({ loaderData }) {
  return (
    <main>
      <p>{loaderData.first}</p>
      <Suspense fallback={<p>please wait</p>}>
        <Await resolve={loaderData.last}>{(last) => <p>{last}</p>}</Await>
      </Suspense>
    </main>
  );
}
