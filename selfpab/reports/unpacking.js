// What packing.py packed: gzip in base64 -> typed arrays. Nothing is fetched: Response only reads the stream.
"use strict";

async function unpacked(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Kind(await new Response(stream).arrayBuffer());
}

async function expanded({ lengths, values }, rows) { // run-length code -> a value per row
  const [long, kept] = [await unpacked(lengths, Uint32Array), await unpacked(values, Uint16Array)];
  const whole = new Uint16Array(rows);
  for (let i = 0, at = 0; i < long.length; at += long[i++]) whole.fill(kept[i], at, at + long[i]);
  return whole;
}

async function binned({ data, bins, seconds }, Kind) { // differences -> values, a line of `bins` after the other
  const bytes = await unpacked(data, Uint8Array);
  for (let at = 0; at < bytes.length; at += bins) {
    for (let i = 1; i < bins; i++) bytes[at + i] += bytes[at + i - 1];
  }
  return { values: new Kind(bytes.buffer), bins, seconds };
}
