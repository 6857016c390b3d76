import { connection } from 'next/server';
import { Suspense } from 'react';
import { waiting } from '../waiting';

async function Late() {
  await connection();
  await new Promise((go) => waiting.add(go));
  return <p>last part</p>;
}

export default function Page() {
  return (
    <main>
      <p>first part</p>
      <Suspense fallback={<p>please wait</p>}>
        <Late />
      </Suspense>
    </main>
  );
}
