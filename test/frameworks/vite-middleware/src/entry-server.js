export function render(name) {
  return `<h1>Hello${name === undefined ? ' from Vite' : `, ${name}`}</h1>
<button>0</button>
<form method="post"><input name="name"></form>`;
}
