// Calls the functions of the pages with the arguments in a JSON file and prints what they return, as JSON:
//     node parity.js chapters/site/play/minidet.js cases.json
// A case is {name, arguments, each}; with each, the function takes one example after the other, and the first two
// arguments are arrays of logits and targets.
"use strict";
const fs = require("fs"), path = require("path");
const minidet = require(path.resolve(process.argv[2]));
const cases = JSON.parse(fs.readFileSync(process.argv[3], "utf8"));

function result({ name, arguments: given, each }) {
  if (!each) return minidet[name](...given);
  const [logits, targets, ...rest] = given;
  return logits.map((logit, i) => minidet[name](logit, targets[i], ...rest));
}

const infinite = (_, value) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value);
process.stdout.write(JSON.stringify(cases.map(result), infinite));
