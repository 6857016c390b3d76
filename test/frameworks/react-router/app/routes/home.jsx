import { Form, useHref } from 'react-router';

export async function action({ request }) {
  const form = await request.formData();
  return { greeting: `Hello, ${form.get('name')}` };
}

export default function Home({ actionData }) {
  return (
    <main>
      <h1>Hello from React Router</h1>
      <a href={useHref('/robots.txt')}>robots</a>
      <Form method="post">
        <input name="name" />
      </Form>
      {actionData && <p>{actionData.greeting}</p>}
    </main>
  );
}
