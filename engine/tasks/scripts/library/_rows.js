// Runs a script for every row of a file, or once with variables: `node _rows.js transform|eval SCRIPT SOURCE TARGET`.
const fs = require("node:fs");
const vm = require("node:vm");

const [kind, script, source, target] = process.argv.slice(2);
const code = new vm.Script(fs.readFileSync(script, "utf8"), { filename: "script" });
const say = (level) => (message, ...values) => {
  let text = String(message);
  for (const value of values) text = text.replace("{}", () => (typeof value === "object" ? JSON.stringify(value) : value));
  console.log("::" + JSON.stringify({ logs: [{ level, message: text }] }) + "::");
};
const logger = { trace: say("TRACE"), debug: say("DEBUG"), info: say("INFO"), warn: say("WARN"), error: say("ERROR") };

if (kind === "transform") {
  const out = fs.openSync(target, "w");
  for (const line of fs.readFileSync(source, "utf8").split("\n")) {
    if (!line.trim()) continue;
    const names = vm.createContext({ row: JSON.parse(line), rows: null, logger, console });
    code.runInContext(names);
    const kept = names.rows ?? (names.row === null || names.row === undefined ? [] : [names.row]);
    for (const one of kept) fs.writeSync(out, JSON.stringify(one) + "\n");
  }
  fs.closeSync(out);
} else {
  const asked = JSON.parse(fs.readFileSync(source, "utf8"));
  const names = vm.createContext({ ...asked.variables, logger, console });
  const result = code.runInContext(names);
  const found = Object.fromEntries(asked.outputs.map((name) => [name, names[name] ?? null]));
  fs.writeFileSync(target, JSON.stringify({ ...found, ...(asked.outputs.length ? {} : { result: result ?? null }) }));
}
