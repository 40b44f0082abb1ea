/**
 * Whether a port is the cluster's: by the authority that its certificate is signed by. Who knows the authority lets nobody
 * else in; who doesn't looks at what the first port shows, and holds on to that (trust on first use, as ssh has it).
 *
 * A cluster's authority is known by the cluster's id, so masters, their addresses and proxies may come and go. Where it is
 * kept is for whoever uses the client to say; by default it is kept as long as the client lives.
 */
import { connect, type TLSSocket } from 'node:tls'
import type { HostPort } from '../base/host-port.ts'
import {
  fingerprintOf,
  handshakeFault,
  nameOfCluster,
  RpcError,
  type ShownAuthority,
  SPEAKS_PLAIN,
  shownAuthority,
} from '../rpc/index.ts'

/** Where the authorities of clusters are kept, as PEM. */
export interface KnownAuthorities {
  /** Null: none is known. Rejects with an Error for people where what is kept can't be read. */
  authorityOf(clusterId: string): Promise<string | null>
  /** A port has shown this one and nothing was known before. Never rejects. */
  learn(clusterId: string, authority: string): Promise<void>
  /** A port has shown this one instead: whether it is the cluster's own by now, as one knows who asks its directory. */
  isNow(clusterId: string, authority: string): Promise<boolean>
}

/** Forgets them with the process. */
export class AuthoritiesInMemory implements KnownAuthorities {
  readonly #known = new Map<string, string>()

  /** `of`: what is known beforehand. */
  constructor(of: Readonly<Record<string, string>> = {}) {
    for (const [id, authority] of Object.entries(of)) this.#known.set(id, authority)
  }

  /** As it was given or learnt. */
  async authorityOf(clusterId: string): Promise<string | null> {
    return this.#known.get(clusterId) ?? null
  }

  /** Until the process ends. */
  async learn(clusterId: string, authority: string): Promise<void> {
    this.#known.set(clusterId, authority)
  }

  /** It never is: nobody is there to say so. */
  async isNow(): Promise<boolean> {
    return false
  }
}

/** How a connection to a cluster's port is made. */
export interface SecureOptions {
  readonly ca: string
  /** The name that the certificate has to be good for. */
  readonly servername: string
}

export class Trust {
  readonly #known: KnownAuthorities
  readonly #nowMs: () => number
  /** By address, for ports whose cluster nobody has named: they may be of several. */
  readonly #shown = new Map<string, SecureOptions>()
  /** What the cluster's own directory says, for whoever shows an administrator's token. */
  readonly #pinned = new Map<string, string>()
  /** One after the other: of two ports that are looked at together the second one has to fit the first. */
  #judged: Promise<unknown> = Promise.resolve()

  /** `nowMs`: since 1970. */
  constructor(known: KnownAuthorities, nowMs: () => number) {
    this.#known = known
    this.#nowMs = nowMs
  }

  /**
   * How to speak with `address` as a port of that cluster; null: of whichever it is. Rejects with RpcError where it shows
   * another authority than the cluster's, or none, and with the system's error where nobody can be asked.
   */
  async optionsFor(
    address: HostPort & { readonly text: string },
    clusterId: string | null,
    signal: AbortSignal,
  ): Promise<SecureOptions> {
    const known = clusterId === null ? null : await this.#authorityOf(clusterId)
    if (clusterId !== null && known !== null) return secureFor(clusterId, known)
    const before = this.#shown.get(address.text)
    const isMeant = clusterId === null || before?.servername === nameOfCluster(clusterId)
    if (before !== undefined && isMeant) return before
    return this.#look(address, signal)
  }

  /**
   * Why a connection to a port of that cluster has failed, if it was for what it showed; else null. Rejects as `optionsFor`
   * does.
   */
  async whyRefused(
    thrown: unknown,
    { text, ...address }: HostPort & { readonly text: string },
    clusterId: string | null,
    signal: AbortSignal,
  ): Promise<RpcError | null> {
    if (handshakeFault(thrown) === 'plain')
      return new RpcError('OTHER_CLUSTER', `${text} ${SPEAKS_PLAIN}`, { cause: thrown })
    const { code, message } = thrown as NodeJS.ErrnoException
    if (message.includes(NO_CERTIFICATE))
      return new RpcError('UNAVAILABLE', `${text} has no certificate yet: it is starting`)
    if (clusterId === null || code === undefined || !NOT_TRUSTED.test(code)) return null
    const shown = await shownBy(address, signal, this.#nowMs())
    if (typeof shown === 'string') return new RpcError('FORBIDDEN', `${text}: ${shown}`)
    if (shown.clusterId !== clusterId)
      return new RpcError(
        'OTHER_CLUSTER',
        `${text} belongs to cluster ${shown.clusterId}, not to ${clusterId}`,
        { cluster: shown.clusterId },
      )
    const known = await this.#authorityOf(clusterId)
    if (known === null) return null
    await this.#requireSame(known, shown, text)
    return new RpcError('UNAVAILABLE', `the authority of ${text} was made anew`, { cause: thrown })
  }

  async #look(
    { text, ...address }: HostPort & { readonly text: string },
    signal: AbortSignal,
  ): Promise<SecureOptions> {
    const shown = await shownBy(address, signal, this.#nowMs())
    if (typeof shown === 'string') throw new RpcError('FORBIDDEN', `${text}: ${shown}`)
    const { clusterId, authority } = shown
    const judging = this.#judged.then(() => this.#judge(shown, text))
    this.#judged = judging.catch(() => undefined)
    await judging
    const options = secureFor(clusterId, authority)
    this.#shown.set(text, options)
    return options
  }

  /** From now on nobody else is that cluster, whatever was believed before. */
  pin(clusterId: string, authority: string): void {
    this.#pinned.set(clusterId, authority)
  }

  async #authorityOf(clusterId: string): Promise<string | null> {
    return this.#pinned.get(clusterId) ?? this.#known.authorityOf(clusterId)
  }

  async #judge(shown: ShownAuthority, text: string): Promise<void> {
    const known = await this.#authorityOf(shown.clusterId)
    if (known === null) await this.#known.learn(shown.clusterId, shown.authority)
    else await this.#requireSame(known, shown, text)
  }

  async #requireSame(
    known: string,
    { clusterId, authority }: ShownAuthority,
    text: string,
  ): Promise<void> {
    if (fingerprintOf(known) === fingerprintOf(authority)) return
    if (await this.#known.isNow(clusterId, authority)) return
    throw new RpcError(
      'FORBIDDEN',
      `${text} says it is of cluster ${clusterId} and shows another authority (${fingerprintOf(authority)}) than that cluster's (${fingerprintOf(known)}): somebody else may answer there. If the cluster's system/tls was made anew, take its line out of ~/.tajo/known_clusters`,
    )
  }
}

const secureFor = (clusterId: string, ca: string): SecureOptions => ({
  ca,
  servername: nameOfCluster(clusterId),
})

/** OpenSSL's words for what a port says that can't show one. */
const NO_CERTIFICATE = 'alert handshake failure'
/** What OpenSSL and Node say of a certificate that isn't the one. */
const NOT_TRUSTED = /CERT|SIGNATURE|ISSUER/

/** Nothing is said to it. */
function shownBy(address: HostPort, signal: AbortSignal, nowMs: number) {
  return new Promise<ReturnType<typeof shownAuthority>>((resolve, reject) => {
    const socket: TLSSocket = connect({ ...address, rejectUnauthorized: false })
    const breakOff = (): void => {
      socket.destroy(new Error('broken off'))
    }
    signal.addEventListener('abort', breakOff)
    socket.once('secureConnect', () => {
      resolve(shownAuthority(socket.getPeerX509Certificate(), nowMs))
      socket.destroy()
    })
    socket.once('error', reject)
    socket.once('close', () => {
      signal.removeEventListener('abort', breakOff)
      reject(new Error('it closed the connection'))
    })
    if (signal.aborted) breakOff()
  })
}
