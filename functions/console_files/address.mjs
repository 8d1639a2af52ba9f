// What is looked at, in the address: the back button, a bookmark and a colleague see the same.

/** {view, id, ...filters} of an address's query. */
export function read(search) {
  return Object.fromEntries(new URLSearchParams(search));
}

/** The query of a place; what is empty is left out. */
export function write(place) {
  const kept = Object.entries(place).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const query = new URLSearchParams(kept).toString();
  return query ? `?${query}` : "";
}
