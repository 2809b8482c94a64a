// What the operator sets, read strictly: what is misspelt is refused at the start, with its name.

const DEFAULTS = {
  action: 'lower',
  reason: 'please do not shout',
  letters: 8,
  share: 0.8,
  marks: 3,
  keep: [],
};

const RULES = {
  action: [(value) => ['lower', 'withhold'].includes(value), '"lower" or "withhold"'],
  // The interface's bound on a reason.
  reason: [(value) => typeof value === 'string' && value !== '' && bytes(value) <= 512, 'a text of 1 to 512 bytes'],
  letters: [(value) => Number.isInteger(value) && value >= 1 && value <= 4096, 'a whole number from 1 to 4096'],
  share: [(value) => typeof value === 'number' && value > 0 && value <= 1, 'a number above 0 and at most 1'],
  marks: [(value) => Number.isInteger(value) && value >= 1 && value <= 4096, 'a whole number from 1 to 4096'],
  keep: [
    (value) => Array.isArray(value) && value.length <= 10_000 && value.every((word) => typeof word === 'string'),
    'a list of at most 10,000 words',
  ],
};

// The settings of a JSON object, with `keep` as a set. Throws an Error for the operator.
export function read(text) {
  const given = JSON.parse(text);
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(RULES, key)) {
      throw new Error(`the setting \`${key}\` is unknown; shout knows ${Object.keys(RULES).join(', ')}`);
    }
    const [fits, allowed] = RULES[key];
    if (!fits(value)) throw new Error(`\`${key}\` is ${JSON.stringify(value)}; it must be ${allowed}`);
  }
  const settings = { ...DEFAULTS, ...given };
  return { ...settings, keep: new Set(settings.keep) };
}

// How long a text is for the host, which counts bytes of UTF-8; the engine has no TextEncoder without its web parts.
function bytes(text) {
  let count = 0;
  for (const char of text) {
    const point = char.codePointAt(0);
    count += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return count;
}
