/**
 * How two daemons prove to each other that they are of one cluster, and what they say meanwhile stays between them: TLS
 * with a key that both have (PSK, RFC 4279 and 5489). The secret itself never leaves a process. The key is derived from it
 * for this purpose and this cluster alone, so that it says nothing of what else is made of the secret.
 *
 * A caller names one of two identities. `cluster ID`: he has that cluster's key, and so has whoever answers. `who`: a key
 * that everybody knows, this file says it. That connection proves nothing, and only what anybody may ask is answered on
 * it; but whoever only listens reads none of it.
 *
 * TLS 1.2, since later ones have no such key in Node. Each connection has its own ephemeral keys (ECDHE): a secret that is
 * stolen later opens nothing that was recorded. No connection resumes another one, and none is negotiated anew: who was
 * proven once is who it is, and a new secret leaves no ticket of the old one.
 */
import { constants, createHash, hkdfSync } from 'node:crypto'
import type { ConnectionOptions } from 'node:tls'
import { isClusterId } from './cluster-id.ts'

/** The identity of whoever shows no secret. */
const WHO = 'who'
const WHO_KEY = createHash('sha256').update('tajo: a key that everybody knows').digest()

const OF_CLUSTER = 'cluster '
/** OpenSSL takes 128 bytes in its older versions; an id of ours has 36. */
const LONGEST_ID = 100
const KEY_BYTES = 32
const PURPOSE = 'tajo: TLS among the daemons'

/** What one end of a connection proves itself with. */
export interface Key {
  readonly identity: string
  readonly psk: Buffer
}

/** Anybody's. */
export const whoKey: Key = { identity: WHO, psk: WHO_KEY }

/** Of one cluster, by its secret. */
export const clusterKey = (clusterId: string, secret: string): Key => ({
  identity: `${OF_CLUSTER}${clusterId.slice(0, LONGEST_ID)}`,
  psk: Buffer.from(hkdfSync('sha256', secret, clusterId, PURPOSE, KEY_BYTES)),
})

/** The cluster that an identity names; null for one that names none. */
export const clusterOfIdentity = (identity: string): string | null =>
  identity.startsWith(OF_CLUSTER) && isClusterId(identity.slice(OF_CLUSTER.length))
    ? identity.slice(OF_CLUSTER.length)
    : null

/** What both ends allow, and nothing else. */
export const KEYED_TLS = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  ecdhCurve: 'X25519:prime256v1',
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
} as const

/** A caller's side of the connection, for `tls.connect` and `https.request`. */
export const callingWith = ({ identity, psk }: Key): ConnectionOptions => ({
  ...KEYED_TLS,
  pskCallback: () => ({ identity, psk }),
  // There are no certificates: whoever has the key is the one that is meant.
  checkServerIdentity: () => undefined,
})

/** Why a handshake came to nothing, by what the other end did. */
export type HandshakeFault =
  /** It has another key under that identity. */
  | 'key'
  /** It knows no such identity: it is of another cluster, or has not joined its own yet. */
  | 'identity'
  /** It speaks no TLS, as earlier versions, or is something else. */
  | 'plain'

const FAULTS: readonly (readonly [HandshakeFault, RegExp])[] = [
  ['identity', /UNKNOWN_PSK_IDENTITY|PSK_IDENTITY_NOT_FOUND/],
  ['key', /BAD_RECORD_MAC|DECRYPT_ERROR|DECRYPTION_FAILED|DIGEST_CHECK_FAILED/],
  [
    'plain',
    /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|RECORD_TOO_SMALL|UNSUPPORTED_PROTOCOL/,
  ],
]

/** Null: it says nothing of keys. OpenSSL's names differ a little between versions. */
export function handshakeFault(error: unknown): HandshakeFault | null {
  const { code = '', message = '' } = (error ?? {}) as { code?: unknown; message?: unknown }
  // Where something was to be written already, the words alone say it.
  const said = String(code === 'EPROTO' ? message : code)
    .replaceAll(' ', '_')
    .toUpperCase()
  return FAULTS.find(([, words]) => words.test(said))?.[0] ?? null
}
