// A client of the mesh made from the protos alone, with stock @grpc/grpc-js:
//   node client.mjs 127.0.0.1:50051 talk.mp4
// lists what the mesh can do, sends the file in chunks, and prints the words as they arrive.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const protos = join(dirname(fileURLToPath(import.meta.url)), "../../../proto");
const definition = loader.loadSync(
  ["automarket/v1/discovery_service.proto", "automarket/v1/model_service.proto"],
  { includeDirs: [protos], keepCase: true, longs: Number, oneofs: true },
);
const { DiscoveryService, ModelService } = grpc.loadPackageDefinition(definition).automarket.v1;

const [address, file] = process.argv.slice(2);
const credentials = grpc.credentials.createInsecure();

function listCapabilities() {
  const discovery = new DiscoveryService(address, credentials);
  return new Promise((resolve, reject) => {
    discovery.ListCapabilities({ available_only: true }, (error, response) => {
      discovery.close();
      error ? reject(error) : resolve(response.capabilities.map((capability) => capability.name));
    });
  });
}

async function sendChunks(call, input, path) {
  let offset_bytes = 0;
  for await (const data of createReadStream(path, { highWaterMark: 256 * 1024 })) {
    // write() says false when the window is full: wait, and memory stays flat whatever the file's size.
    if (!call.write({ chunk: { input, offset_bytes, data } })) await once(call, "drain");
    offset_bytes += data.length;
  }
  call.write({ chunk: { input, offset_bytes, last: true } });
  call.end();
}

async function transcribe(path) {
  const models = new ModelService(address, credentials);
  const metadata = new grpc.Metadata();
  metadata.set("automarket-capability", "speech-to-text");
  const call = models.Transform(metadata);
  call.on("data", ({ event }) => {
    if (event.event === "accepted") console.log(`provider: ${event.accepted.provider_id}`);
    if (event.event === "segment") console.log(`segment: ${event.segment.text}`);
    if (event.event === "finished") console.log("finished");
  });
  const ended = once(call, "end");
  call.write({
    target: { capability_name: "speech-to-text" },
    header: { request_id: randomUUID(), inputs: [{ media_type: "video/mp4", stream: {} }] },
  });
  // Initial metadata means "send your chunks".
  await Promise.race([once(call, "metadata"), ended]);
  await Promise.all([sendChunks(call, 0, path), ended]);
  models.close();
}

try {
  console.log(`capabilities: ${(await listCapabilities()).join(" ")}`);
  await transcribe(file);
} catch (error) {
  // A status carries its reason and a hint in google.rpc details; the message alone is already a sentence for people.
  console.error(`${grpc.status[error.code] ?? "error"}: ${error.details ?? error.message}`);
  process.exitCode = 1;
}
