export const actions = {
  default: async ({ request }) => {
    const form = await request.formData();
    return { greeting: `Hello, ${form.get('name')}` };
  },
};
