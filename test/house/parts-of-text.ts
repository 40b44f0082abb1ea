/** Parts of texts that are made from tables of the code, each between two marks that name it. Pure. */

/** The text with the part of that name made anew. Throws where it has none, or two. */
export function between(text: string, name: string, part: string): string {
  const begin = `<!-- ${name}: npm run docs -->`
  const end = `<!-- ${name}: end -->`
  const [before, rest, ...more] = text.split(begin)
  const [, after] = rest?.split(end) ?? []
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`the text has no part between ${begin} and ${end}`)
  }
  return `${before}${begin}\n${part}\n${end}${after}`
}
