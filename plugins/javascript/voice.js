// A message in a normal voice: capitals lowered where most of the letters are, long rows of `!` and `?` cut.
//
// Never makes a text longer, so that what fitted the host's limit still does. Scripts without case have nothing to
// lower, and their messages only lose marks. The engine has no Unicode tables for `\p{…}`, but knows cases.

import { bytes } from './bytes.js';

// Left as they are: code between backquotes, addresses, and names of people.
const KEPT = /```[^]*?```|`[^`\n]*`|\b(?:https?:\/\/|mailto:)\S+|@\S+/gi;
const MARKS = /[!?！？]+/g;

// The text, or what it is in a normal voice. `letters` are the fewest that can shout, `share` how many of them must
// be capitals, `marks` the longest row, `keep` the words that are written in capitals.
export function lowered(text, { letters, share, marks, keep }) {
  const parts = split(text);
  const { capitals, cased } = count(parts, keep);
  const shouts = cased >= letters && capitals >= share * cased;
  let begins = true;
  let result = '';
  for (const { part, kept } of parts) {
    if (kept) {
      result += part;
      begins = false;
      continue;
    }
    let spoken = part.replace(MARKS, (row) => (row.length > marks ? row.slice(0, marks) : row));
    if (shouts) [spoken, begins] = sentences(spoken, keep, begins);
    result += spoken;
  }
  return result;
}

function split(text) {
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(KEPT)) {
    parts.push({ part: text.slice(at, match.index), kept: false }, { part: match[0], kept: true });
    at = match.index + match[0].length;
  }
  parts.push({ part: text.slice(at), kept: false });
  return parts;
}

function count(parts, keep) {
  let capitals = 0;
  let cased = 0;
  for (const { part, kept } of parts) {
    if (kept) continue;
    for (const { word } of words(part)) {
      if (keep.has(word)) continue;
      for (const char of word) {
        if (isCapital(char)) capitals += 1;
        else if (char.toUpperCase() === char) continue;
        cased += 1;
      }
    }
  }
  return { capitals, cased };
}

// Lowers all but what begins a sentence, kept words, and the English `I`. Tells too whether another one begins next.
function sentences(text, keep, begins) {
  let result = '';
  let at = 0;
  for (const { word, index } of words(text)) {
    const between = text.slice(at, index);
    if (/[.!?。！？\n]/.test(between)) begins = true;
    result += between + (keep.has(word) || /^I(?:['’]|$)/.test(word) ? lowerAfter(word, keep) : lower(word, begins));
    begins = false;
    at = index + word.length;
  }
  const rest = text.slice(at);
  return [result + rest, begins || /[.!?。！？\n]/.test(rest)];
}

function lowerAfter(word, keep) {
  return keep.has(word) ? word : `I${lower(word.slice(1), false)}`;
}

function lower(word, begins) {
  let result = '';
  let first = begins;
  for (const char of word) {
    result += first ? char : lowerChar(char);
    first = false;
  }
  return result;
}

// A few capitals have longer small forms (`İ`, `Ⱥ`); they stay.
function lowerChar(char) {
  const small = char.toLowerCase();
  return small !== char && bytes(small) > bytes(char) ? char : small;
}

function isCapital(char) {
  return char.toLowerCase() !== char;
}

// Runs of anything but spaces and marks.
function* words(text) {
  for (const match of text.matchAll(/[^\s.,:;!?"()[\]{}*_~。，！？]+/g)) yield { word: match[0], index: match.index };
}
