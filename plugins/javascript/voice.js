// A message in a normal voice: capitals lowered where most of the letters are, long rows of `!` and `?` cut.
//
// Never makes a text longer, so that what fitted the host's limit still does. Scripts without case have nothing to
// lower, and their messages only lose marks. In a component JavaScript is interpreted and has no Unicode tables for
// `\p{…}`: what every message passes through leaves as much as possible to the engine's own functions.

// Left as they are: code between backquotes, addresses, and names of people.
const KEPT = /```[^]*?```|`[^`\n]*`|\b(?:https?:\/\/|mailto:)\S+|@\S+/gi;
const ROW = /[!?！？]{2,}/g;
// Runs of anything but spaces and marks.
const WORD = /[^\s.,:;!?"()[\]{}*_~。，！？]+/g;
const END_OF_SENTENCE = /[.!?。！？\n]/;
// The three capitals with longer small forms, in the host's bytes of UTF-8, stay.
const NO_LONGER_WHEN_SMALL = /[^İȺȾ]+/g;
const ENGLISH_I = /^I(?:['’]|$)/;

// The text, or what it is in a normal voice. `letters` are the fewest that can shout, `share` how many of them must
// be capitals, `marks` the longest row, `keep` the words that are written in capitals.
export function lowered(text, settings) {
  const parts = split(text);
  const shouts = areShouted(parts, text.length, settings);
  let begins = true;
  let result = '';
  for (const { part, kept } of parts) {
    if (kept) {
      result += part;
      begins = false;
      continue;
    }
    let spoken = part.replace(ROW, (row) => row.slice(0, settings.marks));
    if (shouts) [spoken, begins] = sentences(spoken, settings.keep, begins);
    result += spoken;
  }
  return result;
}

function split(text) {
  if (!text.includes('`') && !text.includes('@') && !text.includes(':')) return [{ part: text, kept: false }];
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(KEPT)) {
    parts.push({ part: text.slice(at, match.index), kept: false }, { part: match[0], kept: true });
    at = match.index + match[0].length;
  }
  parts.push({ part: text.slice(at), kept: false });
  return parts;
}

function areShouted(parts, length, { letters, share, keep }) {
  // With more small letters than this it is no shouting, whatever follows: ordinary talk is let go after a few words.
  const smallMost = (1 - share) * length + 1;
  let capitals = 0;
  let small = 0;
  for (const { part, kept } of parts) {
    if (kept) continue;
    const counted = keep.size === 0 ? part : part.replace(WORD, (word) => (keep.has(word) ? '' : word));
    // By index: interpreted, `for … of` a text costs six times as much.
    for (let at = 0; at < counted.length; at += 1) {
      const unit = counted.charCodeAt(at);
      if (unit >= 97 && unit <= 122) {
        small += 1;
        if (small > smallMost) return false;
      } else if (unit >= 65 && unit <= 90) {
        capitals += 1;
      } else if (unit >= 0x80) {
        const char = counted[at];
        if (char.toLowerCase() !== char) capitals += 1;
        else if (char.toUpperCase() !== char) small += 1;
      }
    }
  }
  return capitals + small >= letters && capitals >= share * (capitals + small);
}

// Lowers all but what begins a sentence, kept words, and the English `I`. Tells too whether another one begins next.
function sentences(text, keep, begins) {
  let at = 0;
  const spoken = text.replace(WORD, (word, index) => {
    begins ||= END_OF_SENTENCE.test(text.slice(at, index));
    at = index + word.length;
    const first = begins || ENGLISH_I.test(word);
    begins = false;
    return keep.has(word) ? word : lower(word, first);
  });
  return [spoken, begins || END_OF_SENTENCE.test(text.slice(at))];
}

function lower(word, keepsFirst) {
  const first = keepsFirst ? String.fromCodePoint(word.codePointAt(0)) : '';
  const rest = word.slice(first.length);
  return first + rest.replace(NO_LONGER_WHEN_SMALL, (run) => run.toLowerCase());
}
