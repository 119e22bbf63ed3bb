// One shell on the page: its screen, its connection, and the line that says how things stand.

import { describeShellEnd } from "berth/session/format";
import { keySequence, withControl } from "berth/session/shell_keys";
import { ShellScreen } from "berth/session/shell_screen";
import { ShellSocket } from "berth/session/shell_socket";
import { toast } from "berth/ui";

const encoder = new TextEncoder();
const TYPING = "You have the keyboard.";
const ELSEWHERE = "You have the keyboard in another tab or window.";

export class ShellTab {
  /**
   * @param {HTMLElement} parent where its screen goes
   * @param {{shell_id: string, number: number}} shell
   * @param {{socketUrl: string, viewer: string, userName: string, onChange(): void, onLeave(): void}} options
   */
  constructor(parent, shell, { socketUrl, viewer, userName, onChange, onLeave }) {
    this.id = shell.shell_id;
    this.userName = userName;
    this.number = shell.number;
    this.onChange = onChange;
    this.keyboard = null;
    this.ending = null;
    this.connection = { name: "connecting" };
    this.isControlHeld = false;
    this.host = document.createElement("div");
    this.host.className = "terminal-host shell-host";
    this.host.dataset.shell = this.id;
    parent.append(this.host);
    this.screen = new ShellScreen(this.host, {
      onType: (text) => this.type(text),
      onBytes: (bytes) => this.#send(bytes),
      onRoom: (columns, rows) => this.socket.resize(columns, rows),
      onLeave,
    });
    this.socket = new ShellSocket(socketUrl, viewer, {
      onStart: (start) => this.screen.begin(start),
      onReplay: (end) => {
        this.screen.replayTo = end;
      },
      onOutput: (offset, data) => this.screen.write(offset, data, () => this.socket.done(offset + data.length)),
      onSize: (columns, rows) => this.screen.resize(columns, rows),
      onGap: (length, start) => this.screen.gap(length, start),
      onKeyboard: (keyboard) => this.#update({ keyboard }),
      onEnded: (ending) => {
        this.screen.terminal.write("\x1b[?25l"); // nothing is typed here any more
        this.#update({ ending });
      },
      onConnection: (connection) => this.#update({ connection }),
    });
    // For whoever wants the text as it is shown (tests, extensions): dispatch `berth:export`.
    this.host.addEventListener("berth:export", (event) => event.detail.resolve(this.screen.text()));
    this.socket.connect();
  }

  #update(changes) {
    Object.assign(this, changes);
    if (this.connection.name !== "open") this.keyboard = null;
    const canType = this.canType;
    if (this.screen.canType !== canType) this.screen.setCanType(canType);
    this.host.classList.toggle("is-greyed", !this.ending && this.connection.name !== "open");
    this.onChange();
  }

  get canType() {
    const isMine = this.keyboard?.is_mine && this.keyboard.is_attached;
    return Boolean(isMine) && this.connection.name === "open" && !this.ending;
  }

  /** How things stand, and what can be done: "take", "new" or nothing. */
  get state() {
    const { keyboard, connection, ending } = this;
    if (ending) {
      const { text, level } = describeShellEnd(ending.ending, ending.reason);
      return { name: "ended", text: `E${text.slice(1)}`, level, action: "new" };
    }
    if (connection.name === "refused") return { name: "refused", text: connection.reason, level: "danger", action: "" };
    if (connection.name === "waiting") {
      return { name: "reconnecting", text: "Disconnected. Reconnecting; typing waits until then.", level: "warn", action: "" };
    }
    if (!keyboard) return { name: "connecting", text: "Connecting…", level: "", action: "" };
    if (!keyboard.viewer) return { name: "free", text: "Nobody has the keyboard.", level: "", action: "take" };
    if (!keyboard.is_mine) {
      // The same person in another tab is no stranger.
      const isSelf = keyboard.user === this.userName;
      const text = isSelf ? ELSEWHERE : `Watching. ${keyboard.user} has the keyboard.`;
      return { name: "watching", text, level: "", action: "take" };
    }
    if (!keyboard.is_attached) {
      return { name: "connecting", text: "Connecting to the container…", level: "", action: "" };
    }
    return { name: "typing", text: TYPING, level: "", action: "" };
  }

  type(text) {
    const typed = this.isControlHeld ? withControl(text) : text;
    this.holdControl(false);
    this.#send(encoder.encode(typed));
  }

  #send(bytes) {
    if (this.canType && !this.socket.input.add(bytes)) {
      toast("That is too much to paste at once. Upload it as a file instead.", "warn");
    }
  }

  /** A key of the row that phones get. */
  press(name) {
    if (name === "control") this.holdControl(!this.isControlHeld);
    else {
      this.holdControl(false);
      this.#send(encoder.encode(keySequence(name, this.screen.terminal.modes.applicationCursorKeysMode)));
    }
    this.screen.focus();
  }

  holdControl(isHeld) {
    if (this.isControlHeld === isHeld) return;
    this.isControlHeld = isHeld;
    this.onChange();
  }

  take() {
    this.socket.take();
    this.screen.focus();
  }

  /** @param {boolean} isShown */
  show(isShown) {
    this.host.hidden = !isShown;
    if (isShown) requestAnimationFrame(() => this.screen.fit());
  }

  dispose() {
    this.socket.close();
    this.screen.dispose();
    this.host.remove();
  }
}
