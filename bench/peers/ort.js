// SPDX-License-Identifier: MIT
// One inference in ONNX Runtime: node ort.js MODEL.onnx THREADS SECONDS SIZE [BATCH]
// (npm i --ignore-scripts onnxruntime-node, and NODE_PATH set to where it is)
const ort = require('onnxruntime-node');
const [model, threads, seconds, size, batch] = process.argv.slice(2);
(async () => {
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: +threads, interOpNumThreads: 1, graphOptimizationLevel: 'all',
    executionMode: 'sequential',
  });
  const shape = [+(batch || 1), 3, +size, +size];
  const x = new Float32Array(shape.reduce((a, b) => a * b, 1));
  let state = 12345;
  for (let i = 0; i < x.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    x[i] = (state >>> 8) / 8388608 - 1;
  }
  const feeds = { [session.inputNames[0]]: new ort.Tensor('float32', x, shape) };
  const now = () => Number(process.hrtime.bigint()) / 1e6;
  let begin = now();
  for (let i = 0; i < 3 || now() - begin < 200; i++) await session.run(feeds);
  const ms = [];
  begin = now();
  while (ms.length < 5 || now() - begin < seconds * 1000) {
    const t = now();
    await session.run(feeds);
    ms.push(now() - t);
  }
  ms.sort((a, b) => a - b);
  console.log(JSON.stringify({ bench: 'ort', min_ms: ms[0], median_ms: ms[ms.length >> 1],
    runs: ms.length }));
})();
