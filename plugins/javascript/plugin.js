// The component: `shout` as the host calls it. What it does is in `voice.js`.

import { read } from './settings.js';
import { lowered } from './voice.js';

let settings = read('{}');

export const plugin = {
  describe() {
    return { name: 'shout', version: '1.0.0', commands: [], priority: 0, batch: 0 };
  },

  start(text) {
    try {
      settings = read(text);
    } catch (refused) {
      // What is thrown as a string is the error of the interface's `result`; anything else would be a trap.
      throw refused.message;
    }
  },
};

export const moderation = {
  moderate(batch) {
    return batch.map((message) => judge(message.text));
  },
};

function judge(text) {
  const quiet = lowered(text, settings);
  if (quiet === text) return { tag: 'allow' };
  if (settings.action === 'withhold') return { tag: 'withhold', val: settings.reason };
  return { tag: 'revise', val: quiet };
}
