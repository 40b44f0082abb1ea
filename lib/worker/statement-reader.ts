/**
 * Reads statements for all queries of a worker, in an engine that opens nothing and runs none of them: a statement is a
 * parameter there. An engine that has failed inside refuses every statement from then on, whoever sent the one that it
 * failed by; so it is replaced.
 */

/** What is used of an EngineConnection. */
interface Connection {
  readonly failed: boolean
  rows(sql: string, values: readonly string[]): Promise<unknown[][]>
  close(): Promise<void>
}

export interface ReadingEngine {
  connect(): Promise<Connection>
  close(): Promise<void>
}

export class StatementReader {
  readonly #make: () => Promise<ReadingEngine>
  #room: Promise<Room>

  /** `make` is called at once, and again for each engine that has failed. */
  constructor(make: () => Promise<ReadingEngine>) {
    this.#make = make
    this.#room = this.#open()
  }

  /** Rejects with EngineError. */
  async ready(): Promise<void> {
    await this.#room
  }

  /** Resolves to the engine's reading of it, as JSON. Rejects with EngineError. */
  async serialized(statement: string): Promise<string> {
    const room = this.#room
    const { connection, leave } = await (await room).enter()
    try {
      const [[answer] = []] = await connection.rows(SERIALIZE, [statement])
      return String(answer)
    } finally {
      if (connection.failed && this.#room === room) this.#room = this.#open()
      await leave()
    }
  }

  /** Nothing may be read any more. */
  async close(): Promise<void> {
    const room = await this.#room.catch(() => null)
    await room?.close()
  }

  #open(): Promise<Room> {
    const room = this.#make().then((engine) => new Room(engine))
    // Told to whoever asks for it.
    room.catch(() => undefined)
    return room
  }
}

const SERIALIZE = 'SELECT json_serialize_sql(?::VARCHAR)'

/** An engine, and its connections that nobody uses at the moment. */
class Room {
  readonly #engine: ReadingEngine
  readonly #free: Connection[] = []
  #inside = 0
  #failed = false

  constructor(engine: ReadingEngine) {
    this.#engine = engine
  }

  async enter(): Promise<{ connection: Connection; leave: () => Promise<void> }> {
    this.#inside += 1
    try {
      const connection = this.#free.pop() ?? (await this.#engine.connect())
      return { connection, leave: () => this.#leave(connection) }
    } catch (error) {
      this.#inside -= 1
      throw error
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#free.splice(0).map((one) => one.close()))
    await this.#engine.close()
  }

  async #leave(connection: Connection): Promise<void> {
    this.#free.push(connection)
    this.#inside -= 1
    this.#failed ||= connection.failed
    if (this.#failed && this.#inside === 0) await this.close()
  }
}
