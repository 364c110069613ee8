/* "Run it here": runs the cells of a chapter in the browser, with Pyodide, which is loaded from the address below or
 * from another one that the reader gives (a mirror, a folder). here.py does the Python part. A classic script.
 */
"use strict";

(() => {
  const USUAL = "https://cdn.jsdelivr.net/pyodide/v0.27.7/full/", KEY = "pyodide";
  const PACKAGES = ["numpy", "matplotlib", "pillow", "tqdm"], FOLDER = "/book";
  const beside = new URL(".", document.currentScript.src);
  const stored = (() => { try { return localStorage.getItem(KEY); } catch { return null; } })();
  let here = null;

  const element = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };

  const load = address => new Promise((done, failed) => {
    const script = element("script", { src: address });
    script.onload = done;
    script.onerror = () => failed(new Error(`${address} cannot be loaded: this needs the network, or another address`));
    document.head.append(script);
  });

  /** The cells of the page, in order: their code and where their output goes. */
  const cells = () => [...document.querySelectorAll("div.cell")].flatMap(cell => {
    const code = cell.querySelector(".cell_input pre");
    return code ? [{ cell, source: code.textContent }] : [];
  });

  async function start(address) {
    await load(new URL("pyodide.js", address.endsWith("/") ? address : `${address}/`).href);
    await load(new URL("run_data.js", beside).href);
    const pyodide = await loadPyodide();
    await pyodide.loadPackage(PACKAGES);
    const bytes = Uint8Array.from(atob(bookArchive), letter => letter.charCodeAt(0));
    pyodide.unpackArchive(bytes.buffer, "zip", { extractDir: FOLDER });
    pyodide.runPython(`import sys; sys.path.insert(0, "${FOLDER}")`);
    return pyodide.pyimport("here");
  }

  function show(cell, outputs) {
    cell.querySelectorAll(":scope > .cell_output, :scope > .ran").forEach(node => node.remove());
    const ran = element("div", { class: "cell_output ran" });
    for (const [kind, text] of outputs) {
      if (kind === "png") ran.append(element("img", { src: `data:image/png;base64,${text}`, alt: "figure" }));
      else if (kind === "html") ran.append(Object.assign(element("div"), { innerHTML: text }));
      else ran.append(element("pre", kind === "error" ? { class: "failed" } : {}, text));
    }
    cell.append(ran);
  }

  async function run() {
    button.disabled = true;
    try {
      told.textContent = "Python is being loaded: some 30 MB the first time.";
      here ??= await start(address.value);
      const all = cells();
      for (const [i, { cell, source }] of all.entries()) {
        told.textContent = `Cell ${i + 1} of ${all.length} is running.`;
        await new Promise(requestAnimationFrame); // so that this is seen
        show(cell, JSON.parse(here.run(source)));
      }
      const failed = document.querySelectorAll(".ran .failed").length;
      told.textContent = `${all.length} cells ran here` + (failed ? `, ${failed} of them with an error.` : ".");
    } catch (error) {
      told.textContent = String(error.message ?? error);
    }
    button.disabled = false;
  }

  const button = element("button", { type: "button" }, "Run it here");
  const address = element("input", { type: "url", value: stored || USUAL, size: 44, "aria-label": "Address of Pyodide" });
  const told = element("p", { "aria-live": "polite" });
  button.addEventListener("click", run);
  address.addEventListener("change", () => { try { localStorage.setItem(KEY, address.value); } catch { /* it is blocked */ } });
  document.getElementById("run-here").append(button, element("details", {},
    element("summary", {}, "How this runs"),
    element("p", {}, "The button loads Pyodide, a Python for the browser, and runs the cells of this page with it, on your machine. ",
      "The project's tests run these cells with NumPy and Matplotlib alone, and this button with a stand-in for Pyodide; they have no ",
      "network, so Pyodide itself has not been tested with this page. Another address, of a mirror for example: "),
    address), told);
})();
