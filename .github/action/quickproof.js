// What main and post share: the runner's files and commands, and what a run's directory says. No dependencies.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

/** The most annotations of one kind that a step may have; GitHub drops what is beyond. */
const MOST_ANNOTATIONS = 10;

/** The most bytes of a step's summary; GitHub drops one that is larger. */
const MOST_SUMMARY = 1000 * 1024;

const input = (name) => (process.env[`INPUT_${name.toUpperCase()}`] ?? '').trim();

/** Adds `name` to a file of the runner, whatever lines the value has. */
function tell(variable, name, value) {
  const file = process.env[variable];
  if (!file) return;
  const end = `end-${crypto.randomUUID()}`;
  fs.appendFileSync(file, `${name}<<${end}\n${value}\n${end}\n`);
}

const output = (name, value) => tell('GITHUB_OUTPUT', name, value);
const keep = (name, value) => tell('GITHUB_STATE', name, value);
const kept = (name) => process.env[`STATE_${name}`] ?? '';

const escaped = (text) => String(text).replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
const property = (text) => escaped(text).replaceAll(':', '%3A').replaceAll(',', '%2C');

/** A command for the runner. */
function command(name, properties, text) {
  const told = Object.entries(properties).filter(([, value]) => value !== undefined && value !== '');
  const words = told.map(([key, value]) => `${key}=${property(value)}`).join(',');
  process.stdout.write(`::${name}${words ? ` ${words}` : ''}::${escaped(text)}\n`);
}

/** Asks the runner to take every secret out of its log, as quickproof does in what it writes. */
function mask(environment) {
  for (const [name, value] of Object.entries(environment)) {
    if (!/(TOKEN|PASSWORD|SECRET|KEY)$/i.test(name)) continue;
    for (const line of (value ?? '').split(/\r?\n/)) {
      if (line.trim().length >= 6) command('add-mask', {}, line.trim());
    }
  }
}

/** The directories in a directory, by name; none where it is not there. */
function directories(base) {
  if (!fs.existsSync(base)) return [];
  const entries = fs.readdirSync(base, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map((entry) => entry.name);
}

/** The directory in `base` that was not among `before`; undefined where there is none. */
function newest(base, before) {
  const made = directories(base).filter((name) => !before.includes(name));
  const time = (name) => fs.statSync(path.join(base, name)).mtimeMs;
  made.sort((one, other) => time(other) - time(one));
  return made.length > 0 ? path.join(base, made[0]) : undefined;
}

/** A JSON file of a run; undefined where it is not there or not whole. */
function json(directory, name) {
  try {
    return JSON.parse(fs.readFileSync(path.join(directory, name), 'utf8'));
  } catch {
    return undefined;
  }
}

/** What is wrong in a record: what decides first, the root cause before all, then what does not. */
function wrong(record) {
  const found = (record.decisions ?? []).filter(({ finding }) => ['broken', 'undecided'].includes(finding.finding));
  const rank = (decision) => {
    if (decision.check === record.root_cause?.check) return 0;
    if (decision.weight === 'advisory') return 3;
    return (record.root_cause?.because_of_it ?? []).includes(decision.check) ? 2 : 1;
  };
  return found.sort((one, other) => rank(one) - rank(other));
}

/** What a decision says, in a few lines. */
function told(decision) {
  const { finding } = decision;
  if (finding.finding === 'undecided') return `${decision.sentence}\nundecided: ${finding.why}`;
  const place = decision.from ? `\nat ${decision.from.file}:${decision.from.line}` : '';
  return `${decision.sentence}\nexpected: ${finding.expected}\nactual: ${finding.actual}\ncause: ${finding.cause.code}${place}`;
}

/** Annotates what is wrong: at most ten errors and ten warnings, and one notice for the rest. `tree` is where the release's files
 * are in the workspace; without it no line can be pointed at. */
function annotate(record, tree) {
  const kinds = { error: 0, warning: 0 };
  let more = 0;
  const found = wrong(record);
  if (record.outcome !== 'passed' && !found.some(({ weight }) => weight === 'gate')) {
    kinds.error += 1;
    const why = record.interrupted ? `${record.interrupted} ended it` : 'see the report';
    command('error', { title: 'quickproof' }, `the run is ${record.outcome}: ${why}`);
  }
  for (const decision of found) {
    const kind = decision.weight === 'gate' ? 'error' : 'warning';
    if (kinds[kind] === MOST_ANNOTATIONS) {
      more += 1;
      continue;
    }
    kinds[kind] += 1;
    const workspace = process.env.GITHUB_WORKSPACE ?? process.cwd();
    const file = decision.from && tree ? path.relative(workspace, path.resolve(tree, decision.from.file)) : undefined;
    const place = file && !file.startsWith('..') ? { file, line: decision.from.line } : {};
    command(kind, { ...place, title: decision.check }, told(decision));
  }
  if (more > 0) command('notice', { title: 'quickproof' }, `${more} more findings are in the report`);
}

/** Text as Markdown shows it and does not read it. */
const plain = (text) =>
  String(text ?? '')
    .replace(/[\u0000-\u001f]+/g, ' ')
    .replace(/[&<>]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[sign])
    .replace(/[\\`*_{}[\]()#+!|~-]/g, '\\$&');

/** Writes the step's summary. */
function summarize(metadata, record) {
  const file = process.env.GITHUB_STEP_SUMMARY;
  if (!file) return;
  const lines = [`## quickproof: ${plain(metadata.outcome)}`, ''];
  if (metadata.why) lines.push(plain(metadata.why), '');
  lines.push('| | |', '| --- | --- |');
  const rows = ['tag', 'commit', 'provider', 'variant', 'phase', 'exit-code', 'failure-category', 'cause', 'deviations', 'run'];
  for (const name of rows) lines.push(`| ${name} | ${plain(metadata[name]) || '–'} |`);
  lines.push('');
  for (const decision of wrong(record ?? {})) {
    const sign = decision.weight === 'gate' ? '×' : '‼';
    lines.push(`* ${sign} **${plain(decision.check)}**: ${plain(told(decision))}`);
  }
  let text = `${lines.join('\n')}\n`;
  if (Buffer.byteLength(text) > MOST_SUMMARY) {
    text = `${Buffer.from(text).subarray(0, MOST_SUMMARY).toString('utf8')}\n\nThe rest is in the report.\n`;
  }
  fs.appendFileSync(file, text);
}

/** Tells everything that a run's directory says; whether there was anything to tell. */
function report(directory, tree) {
  const metadata = json(directory, 'metadata.json');
  const record = json(directory, 'record.json');
  if (!metadata || !record) return false;
  for (const name of ['outcome', 'exit-code', 'cause', 'failure-category', 'deviations']) output(name, metadata[name]);
  output('run-dir', directory);
  output('junit', path.join(directory, 'junit_quickproof.xml'));
  output('json', path.join(directory, 'record.json'));
  summarize(metadata, record);
  annotate(record, tree);
  return true;
}

module.exports = { command, directories, input, json, keep, kept, mask, newest, output, report };
