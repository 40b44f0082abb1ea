/**
 * Which methods a path has, for whoever asked for it with another one: fastify answers such a request as if there were no
 * such path, and tells nobody what its router knows.
 */
import type { FastifyInstance } from 'fastify'

export class KnownPaths {
  readonly #methods = new Map<string, Set<string>>()

  /** Learns the routes that are added after this. */
  constructor(app: FastifyInstance) {
    app.addHook('onRoute', ({ method, url }) => {
      const known = this.#methods.get(url) ?? new Set()
      this.#methods.set(url, known)
      for (const one of [method].flat()) known.add(one)
    })
  }

  /** Of the path of that URL; empty: there is no such path. */
  methodsOf(url: string): string[] {
    const path = url.split('?', 1)[0]?.split('/') ?? []
    const fitting = [...this.#methods].filter(([pattern]) => fits(pattern.split('/'), path))
    return [...new Set(fitting.flatMap(([, methods]) => [...methods]))]
  }
}

const fits = (pattern: readonly string[], path: readonly string[]): boolean =>
  pattern.length === path.length &&
  pattern.every((part, at) => part.startsWith(':') || part === path[at])
