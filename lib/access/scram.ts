/**
 * SCRAM-SHA-256 (RFC 5802, RFC 7677): a client proves that it knows a password, and the server that it has the password's
 * verifier, and neither the password nor anything that stands for it travels. The verifier is PostgreSQL's,
 * `SCRAM-SHA-256$4096:SALT$STOREDKEY:SERVERKEY`: whoever reads it can't log in with it.
 *
 * Both sides are here, and pure: nonces and salts come from the caller. Without channel binding, which the plain client
 * port can't give.
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { prepared } from './saslprep.ts'

const ITERATIONS = 4096
/** A false server that asks for more keeps its client busy; one that asks for fewer wants an easier guess. */
const MOST_ITERATIONS = 1_000_000
const SALT_BYTES = 16
const KEY_BYTES = 32
/** They say that there is no channel binding, and no other name to act under; with the base64 of each. */
const BINDINGS: Readonly<Record<string, string>> = { 'n,,': 'biws', 'y,,': 'eSws' }

export interface Verifier {
  readonly iterations: number
  readonly salt: Buffer
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

/** An exchange went wrong: not what SCRAM says, or the other side does not know what it should. */
export class ScramError extends Error {
  override readonly name = 'ScramError'
}

const hmac = (key: Buffer, text: string | Buffer): Buffer =>
  createHmac('sha256', key).update(text).digest()
const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()
const derive = promisify(pbkdf2)

const salted = (password: string, salt: Buffer, iterations: number): Promise<Buffer> =>
  derive(Buffer.from(prepared(password)), salt, iterations, KEY_BYTES, 'sha256')

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, at) => byte ^ (b[at] ?? 0)))
}

// ---- the verifier --------------------------------------------------------------------------------------------------

/** `salt`: a random one by default. */
export async function verifierFor(
  password: string,
  salt: Buffer = randomBytes(SALT_BYTES),
  iterations = ITERATIONS,
): Promise<string> {
  const key = await salted(password, salt, iterations)
  const storedKey = sha256(hmac(key, 'Client Key')).toString('base64')
  const serverKey = hmac(key, 'Server Key').toString('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}

/** Null for what is none: a password that only begins like one, for example. */
export function readVerifier(text: string): Verifier | null {
  const match = /^SCRAM-SHA-256\$(\d{1,7}):([^$:]+)\$([^$:]+):([^$:]+)$/.exec(text)
  if (match === null) return null
  const iterations = Number(match[1])
  const [salt, storedKey, serverKey] = match.slice(2).map(bytesOf)
  if (salt == null || storedKey == null || serverKey == null) return null
  if (storedKey.length !== KEY_BYTES || serverKey.length !== KEY_BYTES) return null
  if (iterations < ITERATIONS || iterations > MOST_ITERATIONS || salt.length === 0) return null
  return { iterations, salt, storedKey, serverKey }
}

/** Null for what is no base64 in its one right spelling. */
function bytesOf(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : null
}

// ---- the client's side ---------------------------------------------------------------------------------------------

interface ClientExchange {
  /** To be sent first. */
  readonly first: string
  /** What is sent next. Rejects with ScramError for an answer that no server of ours gives. */
  final(serverFirst: string): Promise<string>
  /** Throws ScramError where the server does not know the password's verifier. */
  check(serverFinal: string): void
}

/** `nonce`: made anew for each exchange; printable, without a comma. */
export function clientExchange(
  user: string,
  password: string,
  nonce: string = freshNonce(),
): ClientExchange {
  const bare = `n=${user.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  let expected: string | null = null
  return {
    first: `n,,${bare}`,
    async final(serverFirst) {
      const match = /^r=([!-+\--~]+),s=([^,]+),i=(\d{1,7})(?:,.*)?$/.exec(serverFirst)
      const [, both = '', saltText = '', count = ''] = match ?? []
      const salt = bytesOf(saltText)
      if (salt === null || !both.startsWith(nonce) || both.length === nonce.length) {
        throw new ScramError('the answer to the log-in is not what SCRAM-SHA-256 says')
      }
      const iterations = Number(count)
      if (iterations < ITERATIONS || iterations > MOST_ITERATIONS) {
        throw new ScramError(
          `the server asks for ${iterations} iterations: ${ITERATIONS} to ${MOST_ITERATIONS} are allowed`,
        )
      }
      const key = await salted(password, salt, iterations)
      const withoutProof = `c=${BINDINGS['n,,']},r=${both}`
      const told = `${bare},${serverFirst},${withoutProof}`
      const clientKey = hmac(key, 'Client Key')
      const proof = xor(clientKey, hmac(sha256(clientKey), told))
      expected = `v=${hmac(hmac(key, 'Server Key'), told).toString('base64')}`
      return `${withoutProof},p=${proof.toString('base64')}`
    },
    check(serverFinal) {
      const signed = serverFinal.split(',')[0] ?? ''
      if (expected !== null && same(Buffer.from(signed), Buffer.from(expected))) return
      throw new ScramError('the server does not know this password’s verifier: it is a false one')
    },
  }
}

// ---- the server's side ---------------------------------------------------------------------------------------------

/** What a server knows between the two messages of a client. */
export interface Begun {
  readonly user: string
  /** `n,,` or `y,,`. */
  readonly binding: string
  /** The client's first message without its binding, and the answer to it. */
  readonly clientBare: string
  readonly serverFirst: string
}

/** Who wants in. Throws ScramError for a message that SCRAM does not have. */
export function readClientFirst(message: string): Omit<Begun, 'serverFirst'> & { nonce: string } {
  const match = /^([ny],,)(n=([^,]*),r=([!-+\--~]+)(?:,.*)?)$/.exec(message)
  const [, binding = '', clientBare = '', name = '', nonce = ''] = match ?? []
  if (match === null || /=(?!2C|3D)/.test(name)) {
    throw new ScramError('the first message of the log-in is not what SCRAM-SHA-256 says')
  }
  const user = name.replaceAll('=2C', ',').replaceAll('=3D', '=')
  return { user, binding, clientBare, nonce }
}

/** `serverNonce`: made anew for each exchange. */
export function begin(
  first: ReturnType<typeof readClientFirst>,
  { salt, iterations }: Pick<Verifier, 'salt' | 'iterations'>,
  serverNonce: string = freshNonce(),
): Begun {
  const { user, binding, clientBare, nonce } = first
  const serverFirst = `r=${nonce}${serverNonce},s=${salt.toString('base64')},i=${iterations}`
  return { user, binding, clientBare, serverFirst }
}

/**
 * The server's last word, by which the client knows it; null for a wrong password. Throws ScramError for a message that
 * SCRAM does not have, or that is no answer to ours.
 */
export function finish(begun: Begun, clientFinal: string, verifier: Verifier): string | null {
  const match = /^(c=([^,]+),r=([^,]+)),p=([^,]+)$/.exec(clientFinal)
  const [, withoutProof = '', binding = '', nonce = '', proofText = ''] = match ?? []
  const proof = bytesOf(proofText)
  const answered = `r=${nonce},`
  const isOurs = binding === BINDINGS[begun.binding] && begun.serverFirst.startsWith(answered)
  if (match === null || proof === null || proof.length !== KEY_BYTES || !isOurs) {
    throw new ScramError('the last message of the log-in is not what SCRAM-SHA-256 says')
  }
  const told = `${begun.clientBare},${begun.serverFirst},${withoutProof}`
  const clientKey = xor(proof, hmac(verifier.storedKey, told))
  if (!same(sha256(clientKey), verifier.storedKey)) return null
  return `v=${hmac(verifier.serverKey, told).toString('base64')}`
}

const freshNonce = (): string => randomBytes(18).toString('base64')

function same(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
