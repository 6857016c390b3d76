export function GET({ redirect }) {
  return redirect(import.meta.env.BASE_URL);
}
