/**
 * What makes a socket over an exchange a tls.TLSSocket, for requests of clients that came by TLS: Apache has
 * accepted the client, and its TLS layer tells what Node's own would (facts, docs/wire.md). Everything is
 * made when the app asks for it.
 */
import type { PeerCertificate, TLSSocket } from 'node:tls';
import type { X509Certificate } from 'node:crypto';
import type { ExchangeSocket } from './socket.ts';

/** As tls.TLSSocket's getCipher() tells it. */
interface CipherInfo {
  readonly name: string;
  readonly standardName: string;
  readonly version: string;
}

interface Builtins {
  readonly 'node:crypto': { readonly X509Certificate: typeof X509Certificate };
  readonly 'node:tls': { readonly TLSSocket: typeof TLSSocket };
}

/** A module that most workers never need. */
function builtin<T extends keyof Builtins>(name: T): Builtins[T] {
  return process.getBuiltinModule(name);
}

/** The end of mod_ssl's FAILED:<reason>, and what Node calls it. */
const VERIFY_ERRORS: Readonly<Record<string, string>> = {
  'self-signed certificate': 'DEPTH_ZERO_SELF_SIGNED_CERT',
  'self signed certificate': 'DEPTH_ZERO_SELF_SIGNED_CERT',
  'self-signed certificate in certificate chain': 'SELF_SIGNED_CERT_IN_CHAIN',
  'self signed certificate in certificate chain': 'SELF_SIGNED_CERT_IN_CHAIN',
  'unable to get issuer certificate': 'UNABLE_TO_GET_ISSUER_CERT',
  'unable to get local issuer certificate': 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'unable to verify the first certificate': 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'certificate has expired': 'CERT_HAS_EXPIRED',
  'certificate is not yet valid': 'CERT_NOT_YET_VALID',
  'certificate revoked': 'CERT_REVOKED',
  'certificate chain too long': 'CERT_CHAIN_TOO_LONG',
};
/** For a reason that is not in the table. */
const UNVERIFIED = 'UNABLE_TO_VERIFY_LEAF_SIGNATURE';

function firstFact(socket: ExchangeSocket, name: string): string | undefined {
  return socket.exchange.head.facts(name)[0];
}

/** The client's certificate and those that it sent along, or the first of them only. */
function certificatesOf(socket: ExchangeSocket, isDetailed: boolean): X509Certificate[] {
  const { head } = socket.exchange;
  const texts = head.facts('tls.certificate');
  if (isDetailed) texts.push(...head.facts('tls.chain'));
  const crypto = builtin('node:crypto');
  return texts.map((pem) => new crypto.X509Certificate(pem));
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer;
}

function verifyErrorOf(socket: ExchangeSocket): string | null {
  const verify = firstFact(socket, 'tls.verify');
  if (verify === undefined || verify === 'SUCCESS') return null;
  const known = VERIFY_ERRORS[verify.replace(/^FAILED:/, '')];
  if (known !== undefined) return known;
  // GENEROUS: SSLVerifyClient optional_no_ca has let an unknown issuer pass.
  const [own] = certificatesOf(socket, false);
  return own !== undefined && isSelfSigned(own) ? 'DEPTH_ZERO_SELF_SIGNED_CERT' : UNVERIFIED;
}

/** OpenSSL's name of a cipher suite of servers that have a certificate: key exchange, signature, cipher, hash. */
const SUITE =
  /^(?:(EC)?DHE-)?(?:(RSA|ECDSA|DSS)-)?((?:AES|ARIA|CAMELLIA|CHACHA|DES).*?)(?:-(SHA\d*))?$/;

/** What the IETF calls it: the names differ up to TLS 1.2. Those of other kinds keep theirs. */
export function standardCipherName(name: string): string {
  const match = SUITE.exec(name);
  if (match === null) return name;
  const [, curve = '', signature = 'RSA', cipher = '', hash] = match;
  const key = name.startsWith(`${curve}DHE-`) ? `${curve}DHE_${signature}` : signature;
  const code = cipher
    .replace(/^([A-Z]+)(\d+)(?!0-)/, '$1_$2')
    .replace(/CCM8$/, 'CCM_8')
    .replaceAll('-', '_')
    .replace(/^CHACHA_20/, 'CHACHA20');
  const suite = /^(?:AES|CAMELLIA)_\d+$/.test(code) ? `${code}_CBC` : code;
  const digest = hash ?? (code.startsWith('CHACHA') ? 'SHA256' : undefined);
  return `TLS_${key}_WITH_${suite}${digest === undefined ? '' : `_${digest}`}`;
}

/** The oldest protocol that has the suite. */
function cipherVersion(name: string): string {
  if (name.startsWith('TLS_')) return 'TLSv1.3';
  if (/GCM|CCM|POLY1305|SHA256|SHA384/.test(name)) return 'TLSv1.2';
  return name.startsWith('ECDHE') ? 'TLSv1.0' : 'SSLv3';
}

/** What an instance of tls.TLSSocket has, or its prototype, and a socket over an exchange has not. */
const members = {
  get authorized(): boolean {
    return firstFact(self(this), 'tls.verify') === 'SUCCESS';
  },

  get authorizationError(): string | null {
    return verifyErrorOf(self(this));
  },

  get servername(): string | false {
    return firstFact(self(this), 'tls.servername') ?? false;
  },

  /** What the app speaks: whichever the client has agreed on with Apache, HTTP/2 too, is in `req.tsgi`. */
  get alpnProtocol(): string {
    return 'http/1.1';
  },

  getProtocol(): string | null {
    return firstFact(self(this), 'tls.protocol') ?? null;
  },

  getCipher(): CipherInfo | undefined {
    const name = firstFact(self(this), 'tls.cipher');
    if (name === undefined) return undefined;
    return { name, standardName: standardCipherName(name), version: cipherVersion(name) };
  },

  isSessionReused(): boolean {
    return firstFact(self(this), 'tls.resumed') !== undefined;
  },

  /** The keys are Apache's. */
  getSession(): undefined {
    return undefined;
  },

  getTLSTicket(): undefined {
    return undefined;
  },

  getPeerCertificate(isDetailed = false): PeerCertificate | object {
    const chain = certificatesOf(self(this), isDetailed).map((one) => ({
      object: one.toLegacyObject(),
      isRoot: isSelfSigned(one),
    }));
    for (const [i, { object, isRoot }] of chain.entries()) {
      const issuer = isRoot ? object : chain[i + 1]?.object;
      if (isDetailed && issuer !== undefined) Object.assign(object, { issuerCertificate: issuer });
    }
    return chain[0]?.object ?? {};
  },

  getPeerX509Certificate(): X509Certificate | undefined {
    const chain = certificatesOf(self(this), true);
    for (const [i, certificate] of chain.entries()) {
      const value = chain[i + 1];
      if (value !== undefined) Object.defineProperty(certificate, 'issuerCertificate', { value });
    }
    return chain[0];
  },
};

/** The members above belong to a prototype: `this` is the socket. */
function self(members: unknown): ExchangeSocket {
  return members as ExchangeSocket;
}

/** Copies what is not there yet. */
function addMissing(target: object, source: object): void {
  for (const key of Reflect.ownKeys(source)) {
    const descriptor = Object.getOwnPropertyDescriptor(source, key);
    if (key === 'constructor' || descriptor === undefined || Object.hasOwn(target, key)) continue;
    Object.defineProperty(target, key, { ...descriptor, enumerable: false });
  }
}

/**
 * The same class once more, whose instances are a tls.TLSSocket too: JavaScript has no two parents, so
 * the members of `Base` stand on a prototype that has Node's for a parent.
 * @param top the first prototype that is not ours.
 */
export function tlsVariantOf<A extends unknown[], T extends ExchangeSocket>(
  Base: new (...args: A) => T,
  top: object,
): new (...args: A) => T {
  // A class, not a function with Reflect.construct(): V8 makes a hidden class for each object of another
  // new.target, and all code that touches the sockets is slow (21 of 44 µs a request; npm run bench -- tls).
  const Parent = Base as unknown as new (...args: unknown[]) => object;
  class Variant extends Parent {}
  const { prototype } = Variant;
  Reflect.deleteProperty(prototype, 'constructor');
  Object.setPrototypeOf(prototype, builtin('node:tls').TLSSocket.prototype);
  addMissing(prototype, members);
  for (
    let source: object | null = Base.prototype as object;
    source !== null && source !== top;
    source = Object.getPrototypeOf(source) as object | null
  ) {
    addMissing(prototype, source);
  }
  return Variant as unknown as new (...args: A) => T;
}
