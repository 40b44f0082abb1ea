/**
 * Whose certificate a port shows. A cluster has an authority of its own, and the certificates of its ports are good for one
 * name, which is made of the cluster's id: so a client that knows the authority knows that it speaks with that cluster,
 * whatever address, proxy or alias it has called.
 *
 * A client that doesn't know it yet may look at what is shown, and believe it once. What it looks at proves itself: the
 * certificate is signed by the authority beside it, and is good for exactly one cluster's name.
 */
import { X509Certificate } from 'node:crypto'
import { isClusterId } from './cluster-id.ts'

/** What a certificate of the cluster is good for, besides host names. */
export const nameOfCluster = (clusterId: string): string => `${clusterId}${SUFFIX}`

/** A name that nobody has in DNS: RFC 9476's relative, reserved for private use by ICANN. */
const SUFFIX = '.tajo.internal'

/** What a port has shown. */
export interface ShownAuthority {
  /** The cluster that the certificate is good for. */
  readonly clusterId: string
  /** PEM. */
  readonly authority: string
}

/**
 * What a certificate and the one that it says it was signed by tell; or, as a text, why they prove nothing. `nowMs`: since
 * 1970.
 */
export function shownAuthority(
  shown: X509Certificate | undefined,
  nowMs: number,
): ShownAuthority | string {
  const issuer = shown?.issuerCertificate
  if (shown === undefined || issuer === undefined) return 'it shows no authority of its own'
  const names = clusterNames(shown)
  const [clusterId] = names
  if (clusterId === undefined || names.length > 1) return "its certificate is no Tajo cluster's"
  if (!issuer.ca || !issuer.verify(issuer.publicKey)) return 'its authority is none'
  if (!shown.checkIssued(issuer) || !shown.verify(issuer.publicKey))
    return 'its certificate is not signed by the authority beside it'
  if (!isValid(shown, nowMs) || !isValid(issuer, nowMs))
    return `its certificate is good from ${shown.validFrom} to ${shown.validTo}, and here it is ${new Date(nowMs).toUTCString()}`
  return { clusterId, authority: issuer.toString() }
}

/** Of names in the shape of an id alone: whoever shows a certificate chooses what stands in it. */
function clusterNames({ subjectAltName = '' }: X509Certificate): string[] {
  return subjectAltName.split(', ').flatMap((one) => {
    const id = one.startsWith('DNS:') && one.endsWith(SUFFIX) ? one.slice(4, -SUFFIX.length) : ''
    return isClusterId(id) ? [id] : []
  })
}

const isValid = ({ validFrom, validTo }: X509Certificate, nowMs: number): boolean =>
  Date.parse(validFrom) <= nowMs && nowMs <= Date.parse(validTo)

/** How people compare authorities: as OpenSSL prints it. */
export const fingerprintOf = (pem: string): string => new X509Certificate(pem).fingerprint256
