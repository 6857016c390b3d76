// A parser of bodies that decides by the headers whether there is one, as most do.
const express = require('express');

const app = express();
app.use(express.urlencoded({ extended: false }));
app.all('*all', (req, res) => {
  const framing = req.rawHeaders.flatMap((name, i) =>
    i % 2 === 0 && /^(content-length|transfer-encoding)$/i.test(name)
      ? [`${name}: ${req.rawHeaders[i + 1]}`]
      : [],
  );
  res.json({ body: req.body ?? null, framing });
});
app.listen(process.env.PORT);
