// SPDX-License-Identifier: MIT
// Run the models of ort_dump in ONNX Runtime: node ort_compare.js FOLDER
// Each output within 1e-5 of its largest value.
'use strict';
const fs = require('fs');
const path = require('path');
const ort = require('onnxruntime-node');

const LIMIT = 1e-5;
const folder = process.argv[2];

const ARRAYS = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array, uint8: Uint8Array,
                 int8: Int8Array, bool: Uint8Array };

function read(entry) {
  const bytes = fs.readFileSync(path.join(folder, entry.file));
  const copy = new Uint8Array(bytes).buffer;
  return new ARRAYS[entry.type](copy);
}

function compare(got, want, dims) {
  if (got.dims.join() !== dims.join()) return Infinity;
  let peak = 0, worst = 0;
  for (let i = 0; i < want.length; i++) {
    const a = Number(got.data[i]), b = Number(want[i]);
    peak = Math.max(peak, Math.abs(b));
    const diff = Math.abs(a - b);
    if (!(diff <= worst)) worst = Number.isNaN(diff) ? Infinity : diff;
  }
  return worst === 0 ? 0 : worst / peak;
}

async function main() {
  const manifest = JSON.parse(fs.readFileSync(path.join(folder, 'manifest.json'), 'utf8'));
  let failed = 0;
  for (const entry of manifest) {
    let error = 0, note = '';
    try {
      const session = await ort.InferenceSession.create(path.join(folder, entry.model + '.onnx'));
      const feeds = {};
      for (const t of entry.inputs) feeds[t.name] = new ort.Tensor(t.type, read(t), t.dims);
      const results = await session.run(feeds);
      for (const t of entry.outputs) {
        const e = compare(results[t.name], read(t), t.dims);
        if (e > LIMIT) note += ` ${t.name}: ${e.toExponential(2)}`;
        error = Math.max(error, e);
      }
    } catch (e) {
      error = Infinity;
      note = ' ' + e.message;
    }
    const passed = error <= LIMIT;
    failed += passed ? 0 : 1;
    console.log(`${passed ? 'passed' : 'FAILED'} ${entry.model}: ${error.toExponential(2)} of the ` +
                `peak${note}`);
  }
  console.log(`${manifest.length - failed} of ${manifest.length} models agree`);
  process.exit(failed ? 1 : 0);
}

main();
