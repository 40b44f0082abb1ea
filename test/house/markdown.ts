/** A table of a page that is made from tables of the code. */

const row = (...cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`

export const table = (
  heads: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string =>
  [row(...heads), row(...heads.map(() => '---')), ...rows.map((cells) => row(...cells))].join('\n')
