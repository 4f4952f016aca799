// Answers of a folder's graphs in onnxruntime-node or onnxruntime-web, as answer.py gives them but in plain numbers.
//     node answer.mjs FOLDER onnxruntime-node < inputs.json > answers.json
import { readFileSync, writeSync } from "node:fs";

const [folder, runtime] = process.argv.slice(2);
const ort = await import(runtime).then((loaded) => loaded.default ?? loaded);
const inputs = JSON.parse(readFileSync(0, "utf8"));
const found = {};
for (const [name, given] of Object.entries(inputs)) {
  try {
    const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(`${folder}/${name}.onnx`)));
    const [kind, numbers] = given.dtype === "float64"
      ? ["float64", Float64Array.from(given.rows.flat())]
      : ["float32", Float32Array.from(given.rows.flat())];
    const tensor = new ort.Tensor(kind, numbers, [given.rows.length, given.width]);
    const outputs = await session.run({ [given.name]: tensor });
    found[name] = Object.fromEntries(Object.entries(outputs).map(([key, value]) => [key, Array.from(value.data)]));
  } catch (error) {
    found[name] = String(error).slice(0, 500);
  }
}
const said = Buffer.from(JSON.stringify(found));
for (let at = 0; at < said.length; ) {
  try {
    at += writeSync(1, said, at);
  } catch (error) {
    if (error.code !== "EAGAIN") throw error; // the reader is slower than the pipe
  }
}
process.exit(0); // the runtime's threads would keep the process
