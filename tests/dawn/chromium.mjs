// Debian's Chromium, driven through its own pipe: no network, no package.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// Headless, on SwiftShader.
const FLAGS = [
  "--headless=new", "--no-sandbox", "--disable-gpu-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader",
  "--remote-debugging-pipe", "--no-first-run", "--disable-background-networking", "--hide-scrollbars",
];

export class Chromium {
  #waiting = new Map();
  #listeners = [];
  #next = 1;
  #folder = mkdtempSync(join(tmpdir(), "chromium-"));

  constructor() {
    const args = [...FLAGS, `--user-data-dir=${this.#folder}`, "about:blank"];
    this.process = spawn(process.env.CHROMIUM ?? "chromium", args, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    let text = "";
    this.process.stdio[4].on("data", (data) => {
      const parts = (text + data).split("\0");
      text = parts.pop();
      parts.forEach((part) => this.#hear(JSON.parse(part)));
    });
  }

  #hear(message) {
    const waiting = this.#waiting.get(message.id);
    if (!waiting) {
      this.#listeners.forEach((listener) => listener(message));
      return;
    }
    this.#waiting.delete(message.id);
    message.error ? waiting.reject(new Error(message.error.message)) : waiting.resolve(message.result);
  }

  send(method, params = {}, sessionId) {
    const id = this.#next++;
    this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  // A tab that keeps what it asks the network for, and what its console says.
  async open(url, { width = 1280, height = 900, dark = false, downloads } = {}) {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const tab = new Tab(this, sessionId, targetId);
    this.#listeners.push((message) => message.sessionId === sessionId && tab.hear(message));
    for (const domain of ["Page", "Network", "Runtime", "Log"]) {
      await tab.send(`${domain}.enable`);
    }
    await tab.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 500 });
    await tab.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }] });
    if (downloads) {
      await this.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: downloads });
    }
    await tab.send("Page.navigate", { url });
    return tab;
  }

  close() {
    this.process.kill();
    this.process.on("exit", () => rmSync(this.#folder, { recursive: true, force: true }));
  }
}

class Tab {
  constructor(browser, sessionId, targetId) {
    Object.assign(this, { browser, sessionId, targetId, requests: [], said: [] });
  }

  send(method, params) {
    return this.browser.send(method, params, this.sessionId);
  }

  hear({ method, params }) {
    if (method === "Network.requestWillBeSent" && !/^(file|blob|data|about):/.test(params.request.url)) {
      this.requests.push(params.request.url);
    } else if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type)) {
      this.said.push(params.args.map(({ value, description }) => value ?? description).join(" "));
    } else if (method === "Runtime.exceptionThrown") {
      this.said.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    } else if (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level)) {
      this.said.push(params.entry.text);
    }
  }

  // The value of an expression in the page, which may be a promise.
  async evaluate(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) {
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    }
    return result.value;
  }

  // Waits until an expression holds.
  async until(expression, seconds = 60) {
    for (const end = Date.now() + 1000 * seconds; Date.now() < end; ) {
      // While a page begins there is nothing yet to evaluate it in.
      if (await this.evaluate(`Boolean(${expression})`).catch(() => false)) {
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${expression} did not come true in ${seconds} s; the page says: ${await this.evaluate("document.getElementById('status')?.textContent")}`);
  }

  // A picture of the whole page, or of what the window shows, as PNG.
  async screenshot(whole = true) {
    const { data } = await this.send("Page.captureScreenshot", { captureBeyondViewport: whole });
    return Buffer.from(data, "base64");
  }

  close() {
    return this.browser.send("Target.closeTarget", { targetId: this.targetId });
  }
}
