/**
 * Makes the cluster's own certificates: an authority, which clients trust, and with its key the certificate that the
 * cluster's ports show. Each of them is made once in a cluster's life, or when it gets a new name, so the library for it
 * is loaded only then.
 *
 * A client asks for one name, the cluster's, whichever host answers: the host's own names are there for others, such as
 * browsers and curl. The authority signs for that cluster alone, but no name constraint says so: hosts have any name.
 */
import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { nameOfCluster } from '../../rpc/index.ts'

/** Both as PEM. */
export interface KeyAndCertificate {
  readonly key: string
  readonly certificate: string
}

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
/** Clients know the authority by itself: an end in a few years would only stop the cluster. */
const LIFE_MS = 30 * 365.25 * 24 * 3_600_000
/** Clocks of hosts differ. */
const BEFORE_MS = 24 * 3_600_000

cryptoProvider.set(webcrypto)

/** `nowMs`: since 1970. */
export async function makeAuthority(clusterId: string, nowMs: number): Promise<KeyAndCertificate> {
  const keys = await newKeys()
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...life(nowMs),
    serialNumber: newSerial(),
    name: [{ CN: [`Tajo cluster ${clusterId}`] }],
    signingAlgorithm: P256,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { key: await pemOf(keys.privateKey), certificate: certificate.toString('pem') }
}

/** `names`: host names and IP addresses that it is good for besides the cluster's own name. */
export async function makeCertificate(
  authority: KeyAndCertificate,
  { clusterId, names, nowMs }: { clusterId: string; names: readonly string[]; nowMs: number },
): Promise<KeyAndCertificate> {
  const keys = await newKeys()
  const issuer = new X509Certificate(authority.certificate)
  const certificate = await X509CertificateGenerator.create({
    ...life(nowMs),
    serialNumber: newSerial(),
    subject: [{ CN: [nameOfCluster(clusterId)] }],
    issuer: issuer.subjectName.toString(),
    publicKey: keys.publicKey,
    signingAlgorithm: P256,
    signingKey: await privateKeyOf(authority.key),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(
        [nameOfCluster(clusterId), ...names].map((value) => ({
          type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const),
          value,
        })),
      ),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  return { key: await pemOf(keys.privateKey), certificate: certificate.toString('pem') }
}

const life = (nowMs: number): { notBefore: Date; notAfter: Date } => ({
  notBefore: new Date(nowMs - BEFORE_MS),
  notAfter: new Date(nowMs + LIFE_MS),
})

/** It is positive, and nobody else's. */
function newSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(P256, true, ['sign', 'verify'])

const pemOf = async (key: webcrypto.CryptoKey): Promise<string> =>
  PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')

async function privateKeyOf(pem: string): Promise<webcrypto.CryptoKey> {
  const [der] = PemConverter.decode(pem)
  if (der === undefined) throw new Error('it holds no private key')
  return webcrypto.subtle.importKey('pkcs8', der, P256, false, ['sign'])
}
