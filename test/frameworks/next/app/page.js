import { redirect } from 'next/navigation';
import Counter from './counter';

async function greet(form) {
  'use server';
  redirect(`/greeting/${form.get('name')}`);
}

export default function Page() {
  return (
    <main>
      <h1>Hello from Next.js</h1>
      <a href={`${process.env.BASE_PATH ?? ''}/robots.txt`}>robots</a>
      <Counter />
      <form action={greet}>
        <input name="name" />
        <button>Greet</button>
      </form>
    </main>
  );
}
