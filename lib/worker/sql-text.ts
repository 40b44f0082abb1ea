/** How values and names are written into SQL that this software makes itself. */

/** Throws an Error for what SQL text can't hold. */
export function sqlText(value: string): string {
  if (value.includes('\0')) throw new Error('a text with a NUL character can not be used here')
  return `'${value.replaceAll("'", "''")}'`
}

/** Throws an Error for what a name can't hold. */
export function sqlName(name: string): string {
  if (name.includes('\0')) throw new Error('a name with a NUL character can not be used here')
  return `"${name.replaceAll('"', '""')}"`
}

/** Files for one of DuckDB's readers, which takes a path for a pattern: in brackets what means something is itself. */
export const sqlFiles = (paths: readonly string[]): string =>
  `[${paths.map((path) => sqlText(inPattern(path))).join(', ')}]`

/** A pattern that this path alone meets. */
export const inPattern = (path: string): string => path.replace(PATTERN, '[$&]')

const PATTERN = /[[*?]/g

/** In a pattern DuckDB takes a backslash for a slash, whatever stands around it: such a file can't be named. */
export const canBeRead = (path: string): boolean => !path.includes('\\') || !/[[*?]/.test(path)
