/**
 * Schemas that are ready before the first message comes: the validation library writes code for an object's fields when
 * it first sees one, and what a new active is asked in its first moments would wait for that.
 */
import { z } from 'zod'
import type { ServiceContract } from './method.ts'

/** Yields after each schema, so that the work can be interrupted. */
export function* prepared(contract: ServiceContract): Generator<z.ZodType> {
  const seen = new Set<z.ZodType>()
  for (const method of Object.values(contract)) {
    yield* preparedIn(method.request, seen)
    yield* preparedIn(method.kind === 'call' ? method.answer : method.line, seen)
  }
}

function* preparedIn(schema: z.ZodType, seen: Set<z.ZodType>): Generator<z.ZodType> {
  if (seen.has(schema)) return
  seen.add(schema)
  if (schema instanceof z.ZodObject) {
    // Any object will do: only what comes of it is kept.
    schema.safeParse({})
    yield schema
  }
  for (const part of partsOf(schema)) yield* preparedIn(part, seen)
}

/** What its values are made of; nothing for those that have no objects in them. */
function partsOf(schema: z.ZodType): readonly z.ZodType[] {
  if (schema instanceof z.ZodObject) return Object.values(schema.shape)
  if (schema instanceof z.ZodArray) return [schema.element as z.ZodType]
  if (schema instanceof z.ZodUnion) return schema.options as z.ZodType[]
  if (schema instanceof z.ZodRecord) return [schema.valueType as z.ZodType]
  if (WRAPPERS.some((wrapper) => schema instanceof wrapper)) {
    return [(schema as z.ZodOptional<z.ZodType>).unwrap()]
  }
  return []
}

const WRAPPERS = [z.ZodOptional, z.ZodNullable, z.ZodDefault, z.ZodLazy]
