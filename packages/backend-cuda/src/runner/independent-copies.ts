/**
 * Cuts a list of block copies into ranges in which order does not matter: no copy reads or writes what an earlier one
 * of the range wrote. In: pairs [src, dst, ...]. Out: [first, end) of pairs. For devices that read all before they write.
 */
export function independentCopies(pairs: Int32Array, most: number): [start: number, end: number][] {
  const ranges: [number, number][] = [];
  const written = new Set<number>();
  let start = 0;
  const count = pairs.length / 2;
  for (let i = 0; i < count; i++) {
    const from = pairs[2 * i]!;
    const to = pairs[2 * i + 1]!;
    if (written.has(from) || written.has(to) || i - start >= most) {
      ranges.push([start, i]);
      written.clear();
      start = i;
    }
    written.add(to);
  }
  if (count > start) ranges.push([start, count]);
  return ranges;
}
