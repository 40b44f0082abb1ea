/**
 * What of a line that was typed may be kept in the history: no password is, nor what may be one. The SQL lexer, which sees
 * where one begins, is loaded for lines that may have one only.
 */

/** `begun`: the lines of the same statement before it. */
export async function keptLine(line: string, begun: string): Promise<string> {
  const typed = begun + line
  if (!/user|password|identified/i.test(typed)) return line
  const { withoutPasswords } = await import('../../sql/index.ts')
  const kept = withoutPasswords(typed)
  // In a later line than the one in which the password began there is nothing to keep.
  return kept === typed ? line : kept.slice(begun.length)
}
