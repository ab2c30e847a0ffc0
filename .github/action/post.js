// After the job, also where it was cancelled: what a killed run left is taken away, and its reports are made again.
'use strict';

const { spawnSync } = require('node:child_process');

const { command, json, kept, newest, report } = require('./quickproof.js');

const binary = kept('binary');
if (binary) {
  // Reap knows the runs that go on, and leaves them alone.
  const reaped = spawnSync(binary, ['reap'], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (reaped.status !== 0) {
    command('warning', { title: 'quickproof' }, 'something that a run made is still there; the log of this step says what to type');
  }
  if (kept('told') !== 'yes') {
    const directory = newest(kept('base'), JSON.parse(kept('before') || '[]'));
    if (directory) {
      if (!json(directory, 'record.json')?.ended) {
        spawnSync(binary, ['report', directory], { stdio: ['ignore', 'ignore', 'inherit'] });
      }
      report(directory, process.env.INPUT_TREE ?? '');
    }
  }
}
