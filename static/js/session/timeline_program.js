// Of a program that leads the conversation itself: what it sent, and what it is asked to run.

/** More than this is folded. */
const OPEN_CHARS = 400;
const LABELS = {
  system: "Instructions of the program",
  developer: "Instructions of the program",
  assistant: "Earlier answer",
  user: "Earlier message",
  tool: "Result of the program’s tool",
  function: "Result of the program’s tool",
};

/** @param {HTMLTemplateElement} template */
function clone(template) {
  const element = template.content.firstElementChild.cloneNode(true);
  return { element, part: (name) => element.querySelector(`[data-part=${name}]`) };
}

/**
 * @param {{role: string, text: string, tool_call_id?: string}} message
 * @param {string} name of the tool that gave a result, empty where it is not known
 */
export function programMessage(template, { role, text, tool_call_id: callId }, name = "") {
  const { element, part } = clone(template);
  element.dataset.role = role;
  part("label").textContent = name ? `Result of ${name}` : (LABELS[role] ?? role);
  part("id").textContent = callId ?? "";
  part("text").textContent = text || "(empty)";
  const isResult = role === "tool" || role === "function";
  part("box").open = isResult && text.length <= OPEN_CHARS;
  return element;
}

/** @param {{tool_call_id: string, name: string, arguments: string}} event */
export function programCall(template, { tool_call_id: callId, name, arguments: given }) {
  const { element, part } = clone(template);
  part("name").textContent = name;
  part("id").textContent = callId;
  part("text").textContent = pretty(given);
  part("box").open = given.length <= OPEN_CHARS;
  return element;
}

/** JSON with its lines; anything else as it is. */
export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** What the timeline shows of these events. */
export const PROGRAM_CASES = {
  "program.sent": (timeline, event) => {
    if (event.left_out) timeline.note("info", `${event.left_out} earlier messages are not shown.`);
    for (const message of event.messages) {
      const name = timeline.programCalls.get(message.tool_call_id) ?? "";
      timeline.append(programMessage(timeline.template("program"), message, name));
    }
  },
  "program.call": (timeline, event) => {
    timeline.endRetry();
    timeline.programCalls.set(event.tool_call_id, event.name);
    timeline.append(programCall(timeline.template("program-call"), event));
    timeline.announce(`The program is asked to run ${event.name}.`);
  },
};
