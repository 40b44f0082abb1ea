/** NOTICE is what the packages make it, and nothing of others is shipped that it does not name. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { licenseText, lockedPackages, noticePage } from '../house/notice.ts'
import { type Bill, billText } from '../house/sbom.ts'
import { HOME } from '../support/install.ts'

const notice = readFileSync(join(HOME, 'NOTICE'), 'utf8')

t.test('it is what the packages make it', (t) => {
  t.ok(notice === noticePage(), 'NOTICE: npm run docs writes it')
  t.ok(lockedPackages().length > 50)
  t.end()
})

t.test("a platform's library is under the licence of the package that brings it", (t) => {
  const here = lockedPackages().filter((one) => one.isPlatforms && existsSync(join(HOME, one.path)))
  t.ok(here.length > 0, 'the query engine has one')
  for (const one of here) t.ok(notice.includes(licenseText(one)), one.id)
  t.end()
})

t.test('whatever the bundles have taken in is named, and the LGPL stays outside of them', (t) => {
  const folder = join(HOME, 'build/programs')
  const maps = readdirSync(folder).filter((name) => name.endsWith('.map'))
  const taken = new Set<string>()
  for (const name of maps) {
    const { sources } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as {
      sources: readonly string[]
    }
    for (const source of sources) {
      const [, path] =
        /(node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)\//.exec(source) ?? []
      if (path !== undefined) taken.add(path)
    }
  }
  t.ok(taken.size > 20, `${taken.size} packages`)
  const locked = new Map(lockedPackages().map((one) => [one.path, one]))
  for (const path of taken) {
    const one = locked.get(path)
    t.ok(one !== undefined && notice.includes(`  ${one.id}  `), path)
    t.notMatch(one?.license ?? '', /GPL/, path)
  }
  t.end()
})

t.test('who is under a licence that nobody has looked at is refused', (t) => {
  const one = { id: 'odd@1.0.0', license: 'SSPL-1.0', path: 'node_modules/zod' }
  t.throws(() => licenseText(one), { message: /odd@1\.0\.0 is under SSPL-1\.0/ })
  const gone = { id: 'gone@1.0.0', license: 'MIT', path: 'node_modules/gone' }
  t.throws(() => licenseText(gone), { message: /not installed/ })
  t.end()
})

t.test('one state has one bill of materials', (t) => {
  const part = (name: string) => ({ 'bom-ref': `${name}@1`, name, version: '1' })
  const said = (time: string, names: readonly string[]) =>
    JSON.stringify({
      ...{ bomFormat: 'CycloneDX', serialNumber: `urn:uuid:${time}` },
      metadata: { timestamp: time, component: { ...part('tajo-ha'), name: time } },
      components: names.map(part),
      dependencies: names.map((name) => ({
        ref: `${name}@1`,
        dependsOn: names.map((one) => `${one}@1`),
      })),
    })
  const tarball = { name: 'tajo-ha', ships: (id: string) => id !== 'tool@1' }
  const text = billText(said('then', ['a', 'b']), tarball)
  t.equal(billText(said('now', ['b', 'tool', 'a']), tarball), text)
  const bill = JSON.parse(text) as Bill & { serialNumber: string }
  t.equal(bill.metadata.component.name, 'tajo-ha')
  t.match(
    bill.serialNumber,
    /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/,
  )
  t.not(billText(said('now', ['a', 'c']), tarball), text)
  t.end()
})
