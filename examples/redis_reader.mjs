// Print each change of a call leg from the stream of `basix-ws-cti publish`; Node.js 18 or newer.
// REDIS_PORT=6379 node redis_reader.mjs
import net from "node:net";

// A Redis client does the same as this part.
function parse(data, at = 0) {
  const end = data.indexOf("\r\n", at);
  if (end < 0) throw new RangeError("incomplete");
  const [type, rest] = [String.fromCharCode(data[at]), data.toString("utf8", at + 1, end)];
  if (type === "-") throw new Error(rest);
  if (type !== "$" && type !== "*") return [rest, end + 2];
  if (rest === "-1") return [null, end + 2];
  if (type === "$") {
    const next = end + 4 + Number(rest);
    if (next > data.length) throw new RangeError("incomplete");
    return [data.toString("utf8", end + 2, next - 2), next];
  }
  const items = [];
  let next = end + 2;
  for (let i = 0; i < Number(rest); i++) [items[i], next] = parse(data, next);
  return [items, next];
}

let [received, resolve] = [Buffer.alloc(0), null];
const socket = net.connect(Number(process.env.REDIS_PORT ?? 6379), "127.0.0.1");
socket.on("data", (chunk) => {
  received = Buffer.concat([received, chunk]);
  try {
    const [value, next] = parse(received);
    received = received.subarray(next);
    resolve(value);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
});
const ask = (...command) =>
  new Promise((done) => {
    resolve = done;
    const parts = command.flatMap((part) => [`$${Buffer.byteLength(part)}`, part]);
    socket.write([`*${command.length}`, ...parts, ""].join("\r\n"));
  });

// The reader.
const entries = (page) =>
  page.map(([id, pairs]) => ({
    id,
    ...Object.fromEntries(pairs.flatMap((name, i) => (i % 2 ? [] : [[name, pairs[i + 1]]]))),
  }));

let last = null; // id of the last entry that was read
for (;;) {
  if (last === null) {
    const [newest] = entries(await ask("XREVRANGE", "basix", "+", "-", "COUNT", "1"));
    const start = newest?.snapshot ?? "0-0";
    const [first] = entries(await ask("XRANGE", "basix", start, start));
    last = first?.prev ?? "0-0";
  }
  const page = await ask("XREAD", "COUNT", "100", "BLOCK", "1000", "STREAMS", "basix", last);
  for (const entry of page === null ? [] : entries(page[0][1])) {
    if (entry.prev !== last) {
      console.log("entries are missing: starting again with the newest snapshot");
      last = null;
      break;
    }
    last = entry.id;
    const { kind, event, key, element, elements } = JSON.parse(entry.data);
    if (entry.type === "snapshot_elements") console.log(`${elements.length} of kind ${kind}`);
    if (entry.type === "element" && kind === "channel") console.log(event, key, element.state.name);
  }
}
