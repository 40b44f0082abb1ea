/** A cluster's authority and certificate for tests: of one cluster the same in a whole process, as all of its daemons have it. */
import {
  type KeyAndCertificate,
  makeAuthority,
  makeCertificate,
} from '../../lib/cli/daemon/make-certificate.ts'
import type { Certificate } from '../../lib/serve/index.ts'

const made = new Map<string, Promise<Certificate>>()

export function testCertificate(clusterId: string): Promise<Certificate> {
  const known = made.get(clusterId)
  if (known !== undefined) return known
  const making = make(clusterId)
  made.set(clusterId, making)
  return making
}

async function make(clusterId: string): Promise<Certificate> {
  const nowMs = Date.now()
  const authority: KeyAndCertificate = await makeAuthority(clusterId, nowMs)
  const own = await makeCertificate(authority, { clusterId, names: ['127.0.0.1'], nowMs })
  const chain = `${own.certificate}\n${authority.certificate}\n`
  return { key: own.key, chain, authority: authority.certificate }
}
