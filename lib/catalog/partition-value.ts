/**
 * Whether the text of a partition's value can be one of its column's type: a value that can't would make every query on
 * the table fail. Types not named here take what DuckDB takes for them. Pure.
 */
const BOUNDS: Readonly<Record<string, bigint>> = {
  INT1: 2n ** 7n,
  INT2: 2n ** 15n,
  INT4: 2n ** 31n,
  INT8: 2n ** 63n,
}

export function fitsType(value: string, type: string): boolean {
  const bound = BOUNDS[type]
  if (bound !== undefined) {
    return /^-?\d{1,20}$/.test(value) && BigInt(value) < bound && BigInt(value) >= -bound
  }
  switch (type) {
    case 'DATE':
      return isDate(value)
    case 'FLOAT4':
    case 'FLOAT8':
      return value.trim() !== '' && (!Number.isNaN(Number(value)) || value === 'NaN')
    case 'BOOLEAN':
      return /^(true|false)$/i.test(value)
    default:
      return true
  }
}

function isDate(value: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(value)) return false
  const date = new Date(`${value}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(value)
}
