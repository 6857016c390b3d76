// TypeScript that Node's own type stripping cannot run: an enum and a parameter property.
import { createServer } from 'node:http';
enum Colour {
  Red = 'red',
}
class Painter {
  constructor(readonly colour: Colour) {}
}
createServer((_req, res) => {
  res.end(new Painter(Colour.Red).colour);
}).listen(3000);
