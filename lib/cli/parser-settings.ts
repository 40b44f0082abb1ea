/** How both programs have yargs read a command line: Tajo's single-dash words whole, values as they stand. */
export const PARSER = {
  'short-option-groups': false,
  'camel-case-expansion': false,
  'boolean-negation': false,
  'dot-notation': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'strip-aliased': true,
}

/** A word that yargs complains of without its dashes, as it stands on the command line. */
export const typedAs = (argv: readonly string[], name: string): string =>
  argv.find((word) => word.replace(/^--?/, '').split('=')[0] === name) ?? name
