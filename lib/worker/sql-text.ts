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

export const sqlList = (values: readonly string[]): string => `[${values.map(sqlText).join(', ')}]`
