/**
 * The software bill of materials in the tarball, CycloneDX as npm tells it (`npm sbom`), made when it is packed. What changes
 * from one making to the next is taken out, so that one state of the sources has one bill: the time is left out, the
 * serial number follows from the content, lists are in order, and the product is called by its name and not by its folder.
 *
 * Which packages are in it is said by the caller: npm's own `--omit dev` leaves out what our tools need as well.
 */
import { createHash } from 'node:crypto'

interface Component {
  readonly 'bom-ref': string
  readonly [fact: string]: unknown
}

export interface Bill {
  readonly bomFormat: string
  readonly components: readonly (Component & {
    readonly name: string
    readonly version: string
    readonly licenses?: readonly unknown[]
  })[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
  readonly metadata: { readonly component: Component; readonly [fact: string]: unknown }
  readonly [fact: string]: unknown
}

/** A UUID as RFC 9562 lets one be made of a digest (version 8). */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-')
}

const inOrder = <T>(list: readonly T[], nameOf: (one: T) => string): T[] =>
  [...list].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))

/** The file's text, of what npm has said; `ships` tells whether a `name@version` is in the tarball. */
export function billText(
  said: string,
  { name, ships }: { name: string; ships: (id: string) => boolean },
): string {
  const { serialNumber: _, components, dependencies, metadata, ...bill } = JSON.parse(said) as Bill
  const { timestamp: _time, ...facts } = metadata
  const own = metadata.component['bom-ref']
  const content = {
    ...bill,
    metadata: { ...facts, component: { ...metadata.component, name } },
    components: inOrder(
      components.filter((one) => ships(one['bom-ref'])),
      (one) => one['bom-ref'],
    ),
    dependencies: inOrder(
      dependencies.filter(({ ref }) => ref === own || ships(ref)),
      ({ ref }) => ref,
    ).map(({ ref, dependsOn }) => ({
      ref,
      dependsOn: inOrder(dependsOn.filter(ships), (one) => one),
    })),
  }
  const serialNumber = `urn:uuid:${uuidOf(JSON.stringify(content))}`
  return `${JSON.stringify({ ...content, serialNumber }, null, 2)}\n`
}
