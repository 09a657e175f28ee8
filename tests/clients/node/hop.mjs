// Calls of every kind with stock @grpc/grpc-js against a server that does what a call's metadata says:
//   node hop.mjs 127.0.0.1:50051
// prints the name of each check that held, and fails at the first that did not.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import grpc from "@grpc/grpc-js";

const SERVICE = "/automarket.v1.ModelService/";
const ROUNDS = 25;
const bytes = (value) => value;
const client = connect();

function connect(options = {}) {
  return new grpc.Client(process.argv[2], grpc.credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
    ...options,
  });
}

function asking(work, more = {}) {
  const metadata = new grpc.Metadata();
  metadata.set("automarket-model", "words");
  metadata.set("do", work);
  for (const [key, values] of Object.entries(more)) for (const value of [values].flat()) metadata.add(key, value);
  return metadata;
}

function unary(data, metadata, { through = client, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const seen = {};
    const call = through.makeUnaryRequest(`${SERVICE}GetModel`, bytes, bytes, data, metadata, options, (error, answer) =>
      error ? reject(error) : setImmediate(() => resolve({ answer, ...seen })),
    );
    call.on("metadata", (headers) => (seen.headers = headers));
    call.on("status", (status) => (seen.trailers = status.metadata));
  });
}

function down(data, metadata, options = {}) {
  return client.makeServerStreamRequest(`${SERVICE}Generate`, bytes, bytes, data, metadata, options);
}

function up(metadata) {
  let call;
  const answer = new Promise((resolve, reject) => {
    call = client.makeClientStreamRequest(`${SERVICE}Transform`, bytes, bytes, metadata, {}, (error, message) =>
      error ? reject(error) : resolve(message),
    );
  });
  return { call, answer };
}

function both(metadata, options = {}) {
  return client.makeBidiStreamRequest(`${SERVICE}Transform`, bytes, bytes, metadata, options);
}

async function all(call) {
  const messages = [];
  for await (const message of call) messages.push(message);
  return messages;
}

async function send(call, pieces) {
  for (const piece of pieces) if (!call.write(piece)) await once(call, "drain");
  call.end();
}

function tally(pieces) {
  const whole = Buffer.concat(pieces);
  return `${pieces.length} ${whole.length} ${createHash("sha256").update(whole).digest("hex")}`;
}

const checks = {
  async "messages of every size"() {
    for (const size of [0, 1, 16_383, 16_384, 16_385, 65_536, 1 << 20, 3 << 20]) {
      const sent = randomBytes(size);
      assert.deepEqual((await unary(sent, asking("echo"))).answer, sent);
      assert.deepEqual(await all(down(sent, asking("echo"))), [sent]);
      const call = both(asking("echo"));
      const [got] = await Promise.all([all(call), send(call, [sent, Buffer.alloc(0), sent])]);
      assert.deepEqual(got, [sent, Buffer.alloc(0), sent]);
    }
  },
  async "headers and trailers"() {
    const binary = Buffer.from([0, 255, 128]);
    for (let round = 0; round < ROUNDS; round++) {
      const { headers, trailers } = await unary(
        Buffer.alloc(0),
        asking("reflect", { "x-key": ["one", "two"], "x-key-bin": binary, "x-long": "v".repeat(6000) }),
      );
      for (const metadata of [headers, trailers]) {
        assert.equal(metadata.get("x-key").join(", "), "one, two");
        assert.deepEqual(metadata.get("x-key-bin"), [binary]);
        assert.equal(metadata.get("x-long")[0].length, 6000);
      }
    }
  },
  async "a status with words and details"() {
    for (let round = 0; round < ROUNDS; round++) {
      const metadata = asking("status", {
        code: "ABORTED",
        "message-bin": Buffer.from("größer als 100 %"),
        "status-details-bin": Buffer.from("details"),
      });
      const error = await unary(Buffer.alloc(0), metadata).then(assert.fail, (failure) => failure);
      assert.equal(error.code, grpc.status.ABORTED);
      assert.equal(error.details, "größer als 100 %");
      assert.deepEqual(error.metadata.get("grpc-status-details-bin"), [Buffer.from("details")]);
    }
  },
  async "an upload of 32 MiB"() {
    const pieces = Array.from({ length: 32 }, () => randomBytes(1 << 20));
    const { call, answer } = up(asking("sink"));
    const [got] = await Promise.all([answer, send(call, pieces)]);
    assert.equal(got.toString(), tally(pieces));
  },
  async "a download of 32 MiB to a reader that pauses"() {
    const call = down(Buffer.alloc(0), asking("flood", { count: "32", size: String(1 << 20) }));
    let size = 0;
    for await (const message of call) {
      size += message.length;
      if (size % (8 << 20) === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(size, 32 << 20);
  },
  async "ping and pong"() {
    const call = both(asking("echo"));
    const answers = call[Symbol.asyncIterator]();
    for (let turn = 0; turn < 2000; turn++) {
      call.write(Buffer.from(String(turn)));
      assert.equal((await answers.next()).value.toString(), String(turn));
    }
    call.end();
    assert.equal((await answers.next()).done, true);
  },
  async "compressed messages"() {
    const through = connect({ "grpc.default_compression_algorithm": 2 });
    const sent = Buffer.alloc(1 << 20, "words ");
    for (let round = 0; round < ROUNDS; round++) {
      const { answer } = await unary(sent, asking("echo", { gzip: "yes" }), { through });
      assert.deepEqual(answer, sent);
    }
    through.close();
  },
  async "deadlines"() {
    for (let round = 0; round < ROUNDS; round++) {
      const begin = performance.now();
      const options = { deadline: Date.now() + 100 };
      const error = await unary(Buffer.alloc(0), asking("wait"), options).then(assert.fail, (failure) => failure);
      assert.equal(error.code, grpc.status.DEADLINE_EXCEEDED);
      assert.ok(performance.now() - begin < 1000);
    }
  },
  async "cancels"() {
    for (let round = 0; round < ROUNDS; round++) {
      const call = both(asking("hang"));
      const [first] = await once(call, "data");
      assert.equal(first.toString(), "begun");
      const failed = once(call, "error");
      call.cancel();
      assert.equal((await failed)[0].code, grpc.status.CANCELLED);
    }
  },
  async "two hundred calls at once"() {
    const calls = Array.from({ length: 200 }, async (_, number) => {
      const sent = randomBytes(number * 500);
      const { answer } = await unary(sent, asking("echo"));
      assert.deepEqual(answer, sent);
    });
    await Promise.all(calls);
  },
};

for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
  } catch (error) {
    console.error(`${name}: ${error.stack ?? error}`);
    process.exit(1);
  }
  console.log(name);
}
client.close();
