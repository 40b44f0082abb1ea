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
