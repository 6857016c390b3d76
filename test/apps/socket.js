// Tells what its socket says of the client. The same file below Apache and alone, then with TLS of its own:
// `node socket.js` prints its port.
'use strict';
const { readFileSync } = require('node:fs');
const https = require('node:https');
const net = require('node:net');
const tls = require('node:tls');

/** The names in a chain of certificates. */
function chainOf(certificate) {
  const names = [];
  for (let one = certificate; one?.subject && !names.includes(one.subject.CN);) {
    names.push(one.subject.CN);
    one = one.issuerCertificate;
  }
  return names;
}

function tlsFacts(socket) {
  const { authorized, authorizationError, servername, alpnProtocol } = socket;
  const detailed = socket.getPeerCertificate(true);
  const x509 = socket.getPeerX509Certificate();
  return {
    ...{ authorized, authorizationError, servername, alpnProtocol },
    protocol: socket.getProtocol(),
    cipher: socket.getCipher(),
    isReused: socket.isSessionReused(),
    certificate: socket.getPeerCertificate(),
    chain: chainOf(detailed),
    x509: x509 && [x509.subject, x509.fingerprint256, x509.checkHost('alice.example') ?? null],
  };
}

function show(req, res) {
  const { socket } = req;
  const { remoteAddress, remoteFamily, remotePort, localAddress, localFamily, localPort } = socket;
  const shown = {
    ...{ remoteAddress, remoteFamily, remotePort, localAddress, localFamily, localPort },
    address: socket.address(),
    encrypted: socket.encrypted ?? null,
    kind: socket.constructor.name,
    isNetSocket: socket instanceof net.Socket,
    isTlsSocket: socket instanceof tls.TLSSocket,
    tls: socket.encrypted ? tlsFacts(socket) : null,
    env: req.tsgi?.env ?? null,
  };
  res.setHeader('Content-Type', 'application/json');
  res.end(JSON.stringify(shown));
}

const { TLS_DIR } = process.env;
const files = TLS_DIR && {
  key: readFileSync(`${TLS_DIR}/key.pem`),
  cert: readFileSync(`${TLS_DIR}/cert.pem`),
  ca: readFileSync(`${TLS_DIR}/cacert.pem`),
  requestCert: true,
  rejectUnauthorized: false,
};
const server = https.createServer(files || {}, show);
server.on('upgrade', (req, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: facts\r\n\r\n');
  const isTlsSocket = socket instanceof tls.TLSSocket;
  socket.end(JSON.stringify({ isTlsSocket, tls: socket.encrypted ? tlsFacts(socket) : null }));
});
server.listen(process.env.TSGI_HOSTED ? 443 : 0, '127.0.0.1', () => {
  if (!process.env.TSGI_HOSTED) process.stdout.write(`${server.address().port}\n`);
});
