// The step itself: gets quickproof, runs it, and tells what came of it. A signal of the runner is passed on.
'use strict';

const { spawn, spawnSync } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { command, directories, input, keep, mask, newest, output, report } = require('./quickproof.js');

const TARGETS = { x64: 'x86_64-unknown-linux-gnu', arm64: 'aarch64-unknown-linux-gnu' };

/** The flags of `verify` that are inputs by the same name. */
const FLAGS = ['tree', 'release', 'branch', 'variant', 'provider', 'layout', 'phase', 'images', 'profile', 'cluster'];

/** Splits words as a shell does: quotes hold blanks together, and nothing is expanded. */
function words(text) {
  const found = text.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
  return found.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, '$1$2'));
}

async function download(url, token) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const answer = await fetch(url, { headers, redirect: 'follow', signal: AbortSignal.timeout(120_000) });
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  return Buffer.from(await answer.arrayBuffer());
}

/** The program: one that is named, or that of a release, checked against the release's checksums and kept for the next job. */
async function program() {
  const named = input('binary');
  if (named) return path.resolve(named);
  const target = TARGETS[process.arch];
  const repository = process.env.GITHUB_ACTION_REPOSITORY;
  const version = input('version') || process.env.GITHUB_ACTION_REF;
  if (process.platform !== 'linux' || !target) throw new Error(`there is no quickproof for ${process.platform} on ${process.arch}`);
  if (!repository || !/^v\d+\.\d+\.\d+/.test(version ?? '')) {
    throw new Error('which release of quickproof is meant is not known; give `version`, such as `v0.1.0`, or `binary`');
  }
  const cache = process.env.RUNNER_TOOL_CACHE ?? path.join(os.homedir(), '.cache');
  const directory = path.join(cache, 'quickproof', version, process.arch);
  const binary = path.join(directory, 'quickproof');
  if (fs.existsSync(binary)) return binary;
  const base = `${process.env.GITHUB_SERVER_URL ?? 'https://github.com'}/${repository}/releases/download/${version}`;
  const name = `quickproof-${version}-${target}.tar.gz`;
  const [archive, sums] = await Promise.all(
    [name, 'SHA256SUMS'].map((file) => download(`${base}/${file}`, input('token'))),
  );
  const digest = crypto.createHash('sha256').update(archive).digest('hex');
  const line = sums.toString('utf8').split('\n').find((one) => one.trim().endsWith(` ${name}`));
  if (line?.trim().split(/\s+/)[0] !== digest) throw new Error(`${name} is not what SHA256SUMS of ${version} says`);
  fs.mkdirSync(path.dirname(directory), { recursive: true });
  const unpacked = fs.mkdtempSync(`${directory}-`);
  const tar = spawnSync('tar', ['xz', '--strip-components=1', '-C', unpacked], { input: archive });
  if (tar.status !== 0) throw new Error(`${name} cannot be unpacked: ${tar.stderr}`);
  fs.renameSync(unpacked, directory);
  return binary;
}

/** What is typed. */
function commandLine(base) {
  const what = input('command') || 'verify';
  if (!['verify', 'probe', 'merge'].includes(what)) throw new Error(`\`${what}\` is no command of this action: verify, probe or merge`);
  const line = [what, ...words(input('args'))];
  for (const flag of FLAGS) {
    const value = input(flag);
    if (!value) continue;
    if (what !== 'verify') throw new Error(`\`${flag}\` is for \`verify\`; write what \`${what}\` takes into \`args\``);
    line.push(`--${flag}`, value);
  }
  const names = (word) => /^--(tree|release|branch|commit)(=|$)/.test(word);
  if (what === 'verify' && !line.some(names)) {
    // `verify` alone carries out the small quickstart that comes with it, which says nothing about a release.
    throw new Error('nothing says what is to be tested, or it is empty; give `tree`, `release` or `branch`');
  }
  // Re-run with debug logging.
  if (process.env.RUNNER_DEBUG === '1') line.push('-v');
  return [...line, '--output-dir', base];
}

/** Runs it to its end; signals are passed on to it, and it decides what becomes of them. */
function run(binary, line) {
  return new Promise((resolve, reject) => {
    const environment = { ...process.env };
    const token = input('token');
    if (token && !environment.GITHUB_TOKEN) environment.GITHUB_TOKEN = token;
    const child = spawn(binary, line, { stdio: ['ignore', 'inherit', 'inherit'], env: environment });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? 128 + (os.constants.signals[signal] ?? 0)));
  });
}

async function main() {
  mask(process.env);
  const base = path.resolve(input('output-dir') || 'quickproof-runs');
  const line = commandLine(base);
  const binary = await program();
  const before = directories(base);
  keep('binary', binary);
  keep('base', base);
  keep('before', JSON.stringify(before));
  const code = await run(binary, line);
  const directory = newest(base, before);
  const told = directory && report(directory, input('tree'));
  if (!told) {
    output('exit-code', String(code));
    if (code !== 0) command('error', { title: 'quickproof' }, `quickproof ended with ${code} before it had a report; its log says why`);
  }
  // A pass that has no report is none.
  process.exitCode = code === 0 && !told ? 4 : code;
  keep('told', 'yes');
}

main().catch((error) => {
  command('error', { title: 'quickproof' }, error.message);
  process.exitCode = 3;
});
