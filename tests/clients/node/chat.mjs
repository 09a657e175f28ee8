// Asks a language model with stock @grpc/grpc-js and prints each event of text with the moment at which it came:
//   node chat.mjs 127.0.0.1:50051 gpt-6-luna openai "Why is the sky blue?"
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const protos = join(dirname(fileURLToPath(import.meta.url)), "../../../proto");
const definition = loader.loadSync("automarket/v1/model_service.proto", {
  includeDirs: [protos],
  keepCase: true,
  longs: Number,
  oneofs: true,
});
const { ModelService } = grpc.loadPackageDefinition(definition).automarket.v1;

const [address, model, provider, question] = process.argv.slice(2);
const models = new ModelService(address, grpc.credentials.createInsecure());
const messages = [{ role: "MESSAGE_ROLE_USER", parts: [{ text: question }] }];
const call = models.Generate({
  target: { model, provider },
  header: { request_id: randomUUID(), inputs: [{ conversation: { messages } }] },
});

const tell = (line) => console.log(JSON.stringify({ at: performance.now() / 1000, ...line }));
tell({ event: "asked" });
call.on("data", ({ event }) => {
  if (event.event === "text_delta") tell({ event: "text", tokens: event.text_delta.tokens });
  if (event.event === "finished") tell({ event: "finished" });
});
try {
  await once(call, "end");
} catch (error) {
  console.error(`${grpc.status[error.code] ?? "error"}: ${error.details ?? error.message}`);
  process.exitCode = 1;
}
models.close();
