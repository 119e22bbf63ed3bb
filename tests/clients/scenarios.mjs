// What programs do with the official JavaScript client: `node scenarios.mjs NAME` prints what came
// of it as JSON. The address and the key come from the environment, as the client reads them.

import { createRequire } from "node:module";

const require = createRequire(`${process.env.CLIENTS}/`);
const { OpenAI, toFile } = require("openai");
const client = new OpenAI({ maxRetries: 0 });
const model = "default";

const scenarios = {
  async shell() {
    const tools = [{ type: "shell" }];
    const first = await client.responses.create({
      model, tools, input: "```bash\necho kept > file; echo hello\n```",
    });
    const second = await client.responses.create({
      model, tools, input: "```bash\ncat file\n```", previous_response_id: first.id,
    });
    return { first, second, text: second.output_text };
  },

  async stream() {
    const input = "```bash\necho one; echo two >&2; exit 3\n```";
    const stream = await client.responses.create({
      model, input, tools: [{ type: "shell" }], stream: true,
    });
    const events = [];
    for await (const event of stream) events.push(event);
    return { events };
  },

  async helper() {
    const input = "```bash\necho one\n```";
    const stream = client.responses.stream({ model, input, tools: [{ type: "shell" }] });
    let printed = "";
    stream.on("response.output_text.delta", (event) => { printed += event.delta; });
    const last = await stream.finalResponse();
    return { printed, text: last.output_text, status: last.status };
  },

  async background() {
    const begun = await client.responses.create({
      model, input: "```bash\necho one\n```", tools: [{ type: "shell" }], background: true,
      stream: true,
    });
    const seen = [];
    for await (const event of begun) {
      seen.push(event);
      if (event.type === "response.in_progress") break;
    }
    const id = seen[0].response.id;
    const rest = await client.responses.retrieve(id, {
      stream: true, starting_after: seen.at(-1).sequence_number,
    });
    for await (const event of rest) seen.push(event);
    const cancelled = await client.responses.cancel(id);
    return { seen, status: (await client.responses.retrieve(id)).status, after: cancelled.status };
  },

  async functions() {
    const tools = [{
      type: "function", name: "add", strict: true,
      parameters: {
        type: "object", additionalProperties: false, required: ["a"],
        properties: { a: { type: "integer" } },
      },
    }];
    const asked = await client.responses.create({
      model, tools, input: 'Add.\n```call add\n{"a": 1}\n```',
    });
    const call = asked.output.find((item) => item.type === "function_call");
    const answered = await client.responses.create({
      model, tools, previous_response_id: asked.id,
      input: [{ type: "function_call_output", call_id: call.call_id, output: "two" }],
    });
    return { call, status: answered.status, text: answered.output_text };
  },

  async containers() {
    const container = await client.containers.create({ name: "from JavaScript" });
    const file = await client.containers.files.create(container.id, {
      file: await toFile(Buffer.from("a,b\n1,2\n"), "data.csv"),
    });
    const answer = await client.responses.create({
      model, input: "```bash\nwc -l < data.csv; cp data.csv copy.csv\n```",
      tools: [{
        type: "shell",
        environment: { type: "container_reference", container_id: container.id },
      }],
    });
    const paths = [];
    let copy = "";
    for await (const one of client.containers.files.list(container.id, { limit: 1 })) {
      paths.push(one.path);
      if (one.path.endsWith("/copy.csv")) {
        copy = await (await client.containers.files.content.retrieve(one.id, {
          container_id: container.id,
        })).text();
      }
    }
    await client.containers.files.delete(file.id, { container_id: container.id });
    const listed = [];
    for await (const one of client.containers.list({ limit: 1 })) listed.push(one.id);
    await client.containers.delete(container.id);
    const gone = await failure(() => client.containers.retrieve(container.id));
    return { container, file, answer, paths: paths.sort(), copy, listed, gone };
  },

  async refusals() {
    return {
      unknown: await failure(() => client.responses.retrieve("resp_00")),
      parameter: await failure(() => client.responses.create({
        model, input: "x", tools: [{ type: "web_search" }],
      })),
      key: await failure(() => new OpenAI({ apiKey: "wrong", maxRetries: 0 }).models.list()),
    };
  },
};

async function failure(action) {
  try {
    await action();
  } catch (error) {
    const { status, code, param, type } = error;
    return { kind: error.constructor.name, status, code, param, type };
  }
  return null;
}

process.stdout.write(JSON.stringify(await scenarios[process.argv[2]]()));
