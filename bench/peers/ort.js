// SPDX-License-Identifier: MIT
// ONNX Runtime through its binding for node, on a model that bench/infer --save has written:
//   node ort.js MODEL.onnx THREADS SECONDS N,C,H,W        times of runs, one JSON line
//   node ort.js --first MODEL.onnx THREADS N,C,H,W        from the start of the process to the
//     first answer; EV_STARTED: when it was started, nanoseconds of the monotonic clock
// (npm i --ignore-scripts onnxruntime-node, and NODE_PATH set to where it is)
const atMain = process.hrtime.bigint();
const fs = require('fs');
const first = process.argv[2] === '--first';
const args = process.argv.slice(first ? 3 : 2);
const [model, threads] = args;
const seconds = first ? 0 : +args[2];
const shape = args[first ? 2 : 3].split(',').map(Number);
const now = () => Number(process.hrtime.bigint()) / 1e6;

function peakMib() {
  const status = fs.readFileSync('/proc/self/status', 'utf8');
  return Number(/VmHWM:\s*(\d+)/.exec(status)[1]) / 1024;
}

function picture(ort) {
  const x = new Float32Array(shape.reduce((a, b) => a * b, 1));
  let state = 12345;
  for (let i = 0; i < x.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    x[i] = (state >>> 8) / 8388608 - 1;
  }
  return new ort.Tensor('float32', x, shape);
}

async function open(ort) {
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: +threads, interOpNumThreads: 1, graphOptimizationLevel: 'all',
    executionMode: 'sequential',
  });
  return session;
}

async function timeFirst() {
  const ort = require('onnxruntime-node');
  const session = await open(ort);
  await session.run({ [session.inputNames[0]]: picture(ort) });
  const answered = process.hrtime.bigint(), started = BigInt(process.env.EV_STARTED || atMain);
  const whole = Number(answered - started) / 1e6, node = Number(atMain - started) / 1e6;
  console.log(JSON.stringify({ bench: 'ort-first', whole_ms: whole, node_ms: node,
    first_ms: whole - node, peak_mib: peakMib() }));
}

async function timeRuns() {
  const ort = require('onnxruntime-node');
  const session = await open(ort);
  const feeds = { [session.inputNames[0]]: picture(ort) };
  const ms = [];
  let begin = now();
  for (let i = 0; i < 1 || now() - begin < 200; i++) await session.run(feeds);
  begin = now();
  while (ms.length < 3 || now() - begin < seconds * 1000) {
    const t = now();
    await session.run(feeds);
    ms.push(now() - t);
  }
  ms.sort((a, b) => a - b);
  const at = (share) => ms[Math.min(ms.length - 1, Math.floor(ms.length * share))];
  console.log(JSON.stringify({ bench: 'ort', runs: ms.length, min_ms: ms[0], p10_ms: at(0.1),
    median_ms: at(0.5), p90_ms: at(0.9), peak_mib: peakMib(),
    version: (ort.env && ort.env.versions && ort.env.versions.node) || '' }));
}

(first ? timeFirst : timeRuns)();
