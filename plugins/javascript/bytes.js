// How long a text is for the host, which counts bytes of UTF-8.

export function bytes(text) {
  let count = 0;
  for (const char of text) {
    const point = char.codePointAt(0);
    count += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return count;
}
