// `require("@kestra-io/libs")`: hand outputs, metrics and log lines from a script to its flow.
const LEVELS = { trace: "TRACE", debug: "DEBUG", log: "INFO", info: "INFO", warn: "WARN", error: "ERROR" };
const send = (said) => process.stdout.write(`::${JSON.stringify(said)}::\n`);
const metric = (type, name, value, tags) => send({ metrics: [{ name, type, value, tags: tags ?? {} }] });
const text = (value) => (typeof value === "string" ? value : value instanceof Error ? value.stack : JSON.stringify(value));

class Kestra {
  /** Hand a map on as `outputs.<task>.vars`. */
  static outputs(map) {
    send({ outputs: map });
  }

  /** Count something. */
  static counter(name, value, tags) {
    metric("counter", name, value, tags);
  }

  /** Record a value as it is now. */
  static gauge(name, value, tags) {
    metric("gauge", name, value, tags);
  }

  /** Record seconds, or call a function and record how long it took until it calls back. */
  static timer(name, duration, tags) {
    if (typeof duration !== "function") return metric("timer", name, duration, tags);
    const started = process.hrtime.bigint();
    duration(() => metric("timer", name, Number(process.hrtime.bigint() - started) / 1e9, tags));
  }

  /** A logger whose levels arrive in the execution's log. */
  static logger() {
    const tell = (level) => (...values) => send({ logs: [{ level, message: values.map(text).join(" ") }] });
    return Object.fromEntries(Object.entries(LEVELS).map(([name, level]) => [name, tell(level)]));
  }
}

module.exports = Kestra;
module.exports.default = Kestra;
