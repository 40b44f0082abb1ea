/** `${name}` in scripts, filled in from `-param name=value`, as Tajo does. The value goes in as it is, quotes and all. */
import { CliError, EXIT } from '../exit.ts'

/** Without any parameter the text stays as it is; with some, one that was not given is an error. */
export function fillIn(text: string, params: Readonly<Record<string, string>>): string {
  if (Object.keys(params).length === 0 || !text.includes('${')) return text
  return text.replaceAll(/\$\{([^{}\s]+)\}/g, (_whole, name: string) => {
    const value = Object.hasOwn(params, name) ? params[name] : undefined
    if (value !== undefined) return value
    throw new CliError(
      EXIT.usage,
      `the script asks for \${${name}}: give it with -param ${name}=VALUE`,
    )
  })
}
