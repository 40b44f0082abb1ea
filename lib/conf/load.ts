/**
 * Makes the configuration in force from the files of a configuration directory.
 *
 * Hadoop's rules: catalog-site.xml is read after tajo-site.xml; of two settings of a key the last one counts, with a
 * warning, unless an earlier one is final. A name that nobody knows is a warning, a wrong value an error, and all wrong
 * values are told at once. A missing tajo-site.xml means defaults, with a warning; a missing directory is an error.
 */
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { INSTALL } from '../base/install.ts'
import { nearest } from '../base/nearest.ts'
import { findContradictions } from './checks.ts'
import { Configuration, formatForMessage, holdsSecret, type Setting } from './configuration.ts'
import { ConfError, quoted } from './error.ts'
import { ALL_KEYS, isKey, type Key, specOf } from './keys.ts'
import { readText, requireDirectory, type TextFile } from './read-file.ts'
import { type Names, type Substituted, SubstitutionError, substitute } from './substitute.ts'
import { allowedOf, parseValue, type Value } from './types.ts'
import { type Property, parseConfigurationXml } from './xml.ts'

const TAJO_SITE = 'tajo-site.xml'
const CATALOG_SITE = 'catalog-site.xml'
/** What a configuration directory is read from, beside its lists of hosts. */
export const SITE_FILES: readonly string[] = [TAJO_SITE, CATALOG_SITE]

export interface Surroundings {
  /** For `${env.X}`. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** For `${user.name}`. */
  readonly userName: string
}

/**
 * This process's user; one without a name, as in a container, is called by its number. TAJO_HOME, which defaults rest on,
 * is this install where the environment has none.
 */
export function surroundingsOf(env: Surroundings['env']): Surroundings {
  return { env: { ...env, TAJO_HOME: env.TAJO_HOME || INSTALL }, userName: userName() }
}

function userName(): string {
  try {
    return userInfo().username
  } catch (error) {
    const uid = process.getuid?.()
    if (uid === undefined) throw error
    return String(uid)
  }
}

/** The texts of a configuration directory; null for a file that isn't there. */
interface SiteFiles {
  readonly confDir: string
  readonly tajoSite: TextFile | null
  readonly catalogSite: TextFile | null
}

/** Reads the site files of `confDir` and checks them. Throws ConfError. */
export async function loadConfiguration(
  confDir: string,
  surroundings: Surroundings,
): Promise<Configuration> {
  return buildConfiguration(await readSiteFiles(confDir), surroundings)
}

/** Throws ConfError when the directory, or one of its files, can't be read. */
export async function readSiteFiles(confDir: string): Promise<SiteFiles> {
  await requireDirectory(confDir)
  const [tajoSite, catalogSite] = await Promise.all([
    readText(join(confDir, TAJO_SITE)),
    readText(join(confDir, CATALOG_SITE)),
  ])
  return { confDir, tajoSite, catalogSite }
}

/** Does everything but the reading: it is pure. Throws ConfError with all that is wrong in the first file that is wrong. */
export function buildConfiguration(files: SiteFiles, surroundings: Surroundings): Configuration {
  const warnings: string[] = []
  if (files.tajoSite === null) {
    warnings.push(
      `${join(files.confDir, TAJO_SITE)} does not exist: every key has its default, so high availability is off`,
    )
  }
  const properties: Property[] = []
  for (const file of [files.tajoSite, files.catalogSite]) {
    if (file === null) continue
    const parsed = parseConfigurationXml(file)
    properties.push(...parsed.properties)
    warnings.push(...parsed.warnings, ...readByOthers(file, parsed.properties))
  }
  const chosen = chooseProperties(properties, warnings)
  const evaluation = new Evaluation(chosen, surroundings)
  for (const key of ALL_KEYS) evaluation.valueOf(key)
  const settings = evaluation.settings
  if (evaluation.problems.length === 0) evaluation.problems.push(...findContradictions(settings))
  if (evaluation.problems.length > 0) throw new ConfError(evaluation.problems)
  warnings.push(...evaluation.warnings, ...unknownKeyWarnings(chosen, evaluation.referred))
  return new Configuration(files.confDir, settings, warnings)
}

const placeOf = ({ file, line }: Property): string => `${file}:${line}`

/** A password in a file that everybody on this host may read is everybody's. */
function readByOthers({ toClose }: TextFile, properties: readonly Property[]): string[] {
  const found = properties.find(({ name, value }) => isKey(name) && holdsSecret(name, value))
  if (toClose === undefined || found === undefined) return []
  return [`${placeOf(found)}: ${found.name} holds a password that others can read: ${toClose}`]
}

/** Chooses, of several settings of a name, the one that counts. */
function chooseProperties(
  properties: readonly Property[],
  warnings: string[],
): Map<string, Property> {
  const chosen = new Map<string, Property>()
  for (const property of properties) {
    const earlier = chosen.get(property.name)
    const name = quoted(property.name)
    if (earlier?.final) {
      if (earlier.value.trim() !== property.value.trim()) {
        warnings.push(
          `${placeOf(property)}: ${name} is left out: it is final in ${placeOf(earlier)}`,
        )
      }
      continue
    }
    if (earlier !== undefined) {
      warnings.push(
        `${placeOf(property)}: ${name} is set again: this one counts, not ${placeOf(earlier)}`,
      )
    }
    chosen.set(property.name, property)
  }
  return chosen
}

/** Works out each key once, those that others derive from first, and collects what is wrong. */
class Evaluation {
  readonly settings = new Map<Key, Setting>()
  readonly problems: string[] = []
  readonly warnings: string[] = []
  /** Names that values refer to. */
  readonly referred = new Set<string>()
  readonly #chosen: ReadonlyMap<string, Property>
  readonly #names: Names
  /** Keys being worked out: a default may derive from a key whose value refers back to it. */
  readonly #underWay = new Set<Key>()

  constructor(chosen: ReadonlyMap<string, Property>, surroundings: Surroundings) {
    this.#chosen = chosen
    this.#names = { ...surroundings, raw: (name) => this.#raw(name) }
  }

  valueOf(key: Key): Value {
    const known = this.settings.get(key)
    if (known !== undefined) return known.value
    if (this.#underWay.has(key)) throw new SubstitutionError(`it refers to itself through ${key}`)
    this.#underWay.add(key)
    try {
      const property = this.#chosen.get(key)
      const source = property === undefined ? null : { file: property.file, line: property.line }
      const value = this.#evaluate(key, property ?? null)
      this.settings.set(key, { key, value, source })
      return value
    } finally {
      this.#underWay.delete(key)
    }
  }

  #raw(name: string): string | undefined {
    const set = this.#chosen.get(name)?.value.trim()
    return set ?? (isKey(name) ? String(this.#defaultOf(name)) : undefined)
  }

  #defaultOf(key: Key): string | number {
    const spec = specOf(key)
    if (typeof spec.default === 'string') return spec.default
    return spec.default.from((other) => (isKey(other) ? this.valueOf(other) : undefined))
  }

  /** Falls back to the default after a problem, so that the other keys can still be checked. */
  #evaluate(key: Key, property: Property | null): Value {
    if (property !== null) {
      const value = this.#parse(key, property.value, property)
      if (value !== null) return value
    }
    const standard = this.#defaultOf(key)
    const value = typeof standard === 'number' ? standard : this.#parse(key, standard, null)
    if (value === null) throw new ConfError(this.problems)
    return value
  }

  #parse(key: Key, raw: string, property: Property | null): Value | null {
    const spec = specOf(key)
    const where = property === null ? `${key}, by its default` : `${placeOf(property)}: ${key}`
    let substituted: Substituted
    try {
      substituted = substitute(raw, key, this.#names)
    } catch (error) {
      if (!(error instanceof SubstitutionError)) throw error
      this.problems.push(`${where}: the value can't be worked out: ${error.message}`)
      return null
    }
    for (const name of substituted.used) this.referred.add(name)
    const unknown = substituted.unknown[0]
    if (unknown !== undefined && spec.type !== 'lines') {
      const message = `${where}: nobody knows ${quoted(`\${${unknown}}`)}: allowed are \${user.name}, \${env.VARIABLE} of a variable that is set, and \${key} of another key`
      if (spec.type !== 'text') {
        this.problems.push(message)
        return null
      }
      this.warnings.push(`${message}; it is left as written`)
    }
    const parsed = parseValue(spec, substituted.text)
    if (parsed.ok) return parsed.value
    const shown = formatForMessage(key, substituted.text.trim())
    const allowed = allowedOf(spec)
    this.problems.push(`${where}: ${quoted(shown)} ${parsed.why}: allowed is ${allowed}`)
    return null
  }
}

const UNKNOWN_TOLD = 20

/** Names that are neither keys nor used by one: most often a typing error. */
function unknownKeyWarnings(
  chosen: ReadonlyMap<string, Property>,
  referred: ReadonlySet<string>,
): string[] {
  const unknown = [...chosen.values()].filter(({ name }) => !isKey(name) && !referred.has(name))
  const warnings = unknown.slice(0, UNKNOWN_TOLD).map((property) => {
    const meant = nearest(property.name, ALL_KEYS)
    const hint = meant === null ? '' : `, did you mean ${meant}?`
    return `${placeOf(property)}: nobody knows the key ${quoted(property.name)}${hint}`
  })
  const more = unknown.length - UNKNOWN_TOLD
  if (more > 0) warnings.push(`${more} more keys that nobody knows`)
  return warnings
}
