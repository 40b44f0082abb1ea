/**
 * How the directories are called into which queries write a table's files: what is in them counts only where the catalog
 * lists it, and tells who finds no catalog that there was one.
 */
export const OWN_PREFIX = 'data-'
