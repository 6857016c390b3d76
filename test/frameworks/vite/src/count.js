export function count({ target }) {
  target.textContent = String(Number(target.textContent) + 1);
}
