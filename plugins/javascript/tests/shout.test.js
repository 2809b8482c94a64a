// What shout does, without Wasm: `node --test` in plugins/javascript.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { moderation, plugin } from '../plugin.js';
import { read } from '../settings.js';
import { lowered } from '../voice.js';

function heard(text, settings = {}) {
  plugin.start(JSON.stringify(settings));
  return moderation.moderate([{ text }])[0];
}

const LOWERED = {
  'STOP SHOUTING AT ME': 'Stop shouting at me',
  'WHERE ARE YOU? I AM HERE. COME!': 'Where are you? I am here. Come!',
  "I'M SURE THAT I'LL COME": "I'm sure that I'll come",
  'WHAT IS THIS!!!!!!!!': 'What is this!!!',
  'ok!!!!!!!!': 'ok!!!',
  '정말요！！！！！': '정말요！！！',
  'GDE ТЫ БЫЛ ВЧЕРА': 'Gde ты был вчера',
  'LOOK AT https://EXAMPLE.COM/A!!!!! NOW PLEASE': 'Look at https://EXAMPLE.COM/A!!!!! now please',
  'ASK @BOB ABOUT `MAX_SIZE` PLEASE': 'Ask @BOB about `MAX_SIZE` please',
  '```\nSELECT ALL FROM IT!!!!!\n```\nHOW DOES THAT WORK': '```\nSELECT ALL FROM IT!!!!!\n```\nHow does that work',
  'İSTANBUL İS BEAUTIFUL': 'İstanbul İs beautiful',
  '**READ THIS NOW**': '**Read this now**',
};

const ALLOWED = [
  'hello', 'OK', 'LOL!!!', 'NASA', 'I use the HTTP API', '안녕하세요, 반갑습니다', '1234567890 - 20 %', '', '`SELECT * FROM ALL_OF_IT`',
  'https://EXAMPLE.COM/SHOUTING/ALL/THE/WAY', '🎉🎉🎉🎉🎉🎉🎉🎉', 'Mixed Case For Every Word Here',
];

test('a shouted message is lowered', () => {
  for (const [text, expected] of Object.entries(LOWERED)) {
    assert.deepEqual(heard(text), { tag: 'revise', val: expected });
  }
});

test('what is no shouting is left alone', () => {
  for (const text of ALLOWED) assert.deepEqual(heard(text), { tag: 'allow' }, text);
});

test('what was lowered is not lowered again', () => {
  for (const text of Object.values(LOWERED)) assert.equal(lowered(text, read('{}')), text);
});

test('each message has its own answer, whatever stands beside it', () => {
  plugin.start('{}');
  const texts = [...Object.keys(LOWERED), ...ALLOWED];
  const together = moderation.moderate(texts.map((text) => ({ text })));
  assert.deepEqual(together, texts.map((text) => moderation.moderate([{ text }])[0]));
});

test('no text becomes longer', () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  let state = seed;
  // Of its bits only the upper ones are random enough.
  const next = (most) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 16) % most;
  };
  const pieces = ['A', 'İ', 'ẞ', 'Σ', 'Ⱥ', 'K', ' ', '!', '`', '@', '𝐀', '𐐀', 'ǅ', '.', 'I', '가'];
  const settings = read('{"letters": 1, "share": 0.1}');
  const bytes = (text) => new TextEncoder().encode(text).length;
  for (let round = 0; round < 2000; round += 1) {
    const text = Array.from({ length: next(20) }, () => pieces[next(pieces.length)]).join('');
    const quiet = lowered(text, settings);
    assert.ok(bytes(quiet) <= bytes(text), `${JSON.stringify(text)} → ${JSON.stringify(quiet)} (seed ${seed})`);
  }
});

test('no letter becomes longer', () => {
  const settings = read('{"letters": 1, "share": 0.1}');
  const bytes = (text) => new TextEncoder().encode(text).length;
  for (let point = 0; point < 0x20000; point += 1) {
    const text = `A${String.fromCodePoint(point)}`;
    assert.ok(bytes(lowered(text, settings)) <= bytes(text), `U+${point.toString(16)}`);
  }
});

test('ordinary talk is told from shouting wherever the capitals stand', () => {
  for (let capitals = 0; capitals <= 100; capitals += 1) {
    const loud = 'A'.repeat(capitals);
    const quiet = 'a'.repeat(100 - capitals);
    const shouts = capitals >= 80;
    for (const text of [loud + quiet, quiet + loud, `${loud} ${quiet}`, `@NAME ${quiet}${loud}`, `${'я'.repeat(100 - capitals)}${loud}`]) {
      assert.equal(lowered(text, read('{}')) !== text, shouts, text);
    }
  }
});

test('settings decide', () => {
  assert.deepEqual(heard('STOP IT NOW', { action: 'withhold' }), { tag: 'withhold', val: 'please do not shout' });
  assert.deepEqual(heard('STOP IT NOW', { action: 'withhold', reason: 'shh' }), { tag: 'withhold', val: 'shh' });
  assert.deepEqual(heard('STOP IT NOW', { letters: 20 }), { tag: 'allow' });
  assert.deepEqual(heard('STOP it NOW please', { share: 0.4 }), { tag: 'revise', val: 'Stop it now please' });
  assert.deepEqual(heard('well!!!!', { marks: 1 }), { tag: 'revise', val: 'well!' });
  assert.deepEqual(heard('THE NASA API IS DOWN', { keep: ['NASA', 'API'] }), { tag: 'revise', val: 'The NASA API is down' });
});

test('a wrong setting is named', () => {
  const wrong = [
    ['{"letter": 3}', '`letter` is unknown'],
    ['{"toString": 3}', '`toString` is unknown'],
    ['{"letters": 0}', '`letters` is 0'],
    ['{"share": "much"}', '`share` is "much"'],
    ['{"action": "scream"}', '"lower" or "withhold"'],
    [`{"reason": "${'é'.repeat(257)}"}`, '1 to 512 bytes'],
    ['{"keep": [1]}', '`keep` is [1]'],
  ];
  for (const [text, part] of wrong) {
    assert.throws(() => plugin.start(text), (error) => typeof error === 'string' && error.includes(part), text);
  }
});
