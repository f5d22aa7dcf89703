// The page to try the HTTP API: built from /openapi.json, sends what its forms hold.
"use strict";
const make = (tag, text, parent) => { const made = document.createElement(tag); if (text) made.textContent = text; if (parent) parent.append(made); return made; };
const token = document.getElementById("token");
token.value = sessionStorage.getItem("pms.token") || "";
token.onchange = () => sessionStorage.setItem("pms.token", token.value);
function kind(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.filter(word => word !== null).join(" | ");
  if (schema.type === "array" || schema.items) return "list of " + kind(schema.items);
  return [].concat(schema.type || "any").filter(type => type !== "null").join(" or ");
}
function example(schema, all) {
  if (schema.$ref) return example(all[schema.$ref.split("/").pop()], all);
  if (schema.enum) return schema.enum[0];
  if (schema.examples) return schema.examples[0];
  const type = [].concat(schema.type)[0];
  if (type === "object") return Object.fromEntries((schema.required || []).map(name => [name, example(schema.properties[name], all)]));
  if (type === "array") return Array.from({length: schema.minItems || 1}, (_, n) => { const made = example(schema.items, all); if (made && made.price) made.price += n; return made; });
  if (type === "string") return "";
  return type === "boolean" ? false : Math.max(1, schema.minimum || 0);
}
function fields(schema, box) {
  const list = make("dl", "", box), required = new Set(schema.required);
  for (const [name, field] of Object.entries(schema.properties)) {
    make("code", name + (required.has(name) ? " *" : ""), make("dt", "", list));
    const also = field["x-also"] ? "; also as " + field["x-also"].join(", ") : "", usual = "default" in field ? "; default " + field.default : "";
    make("dd", kind(field) + usual + also, list);
  }
}
function operation(path, method, about, all, parent) {
  const box = make("details", "", parent), head = make("summary", "", box);
  make("code", method.toUpperCase() + " " + path, head); make("span", " " + about.summary.split("\n")[0], head);
  box.addEventListener("toggle", () => {
    if (box.dataset.filled) return;
    box.dataset.filled = "1";
    for (const line of about.summary.split("\n\n").slice(1)) make("p", line, box);
    const form = make("form", "", box), given = {};
    for (const parameter of about.parameters || []) {
      const label = make("label", parameter.name + (parameter.required ? " * " : " "), form);
      given[parameter.name] = Object.assign(make("input", "", label), {value: parameter.example || "", required: !!parameter.required, title: parameter.description || ""});
    }
    let body;
    if (about.requestBody) {
      const schema = all[about.requestBody.content["application/json"].schema.$ref.split("/").pop()];
      fields(schema, form);
      const label = make("label", "Body", form); label.style.display = "block";
      body = make("textarea", "", label); body.spellcheck = false; body.value = JSON.stringify(example(schema, all), null, 2);
    }
    make("button", "Send", form);
    const status = make("p", "", box), answer = make("pre", "", box); answer.hidden = true; status.setAttribute("role", "status");
    form.onsubmit = async event => {
      event.preventDefault();
      const query = new URLSearchParams(), headers = token.value ? {Authorization: "Bearer " + token.value} : {}; let url = path;
      for (const parameter of about.parameters || []) {
        const value = given[parameter.name].value;
        if (parameter.in === "path") url = url.replace("{" + parameter.name + "}", encodeURIComponent(value));
        else if (value && parameter.in === "header") headers[parameter.name] = value;
        else if (value) query.set(parameter.name, value);
      }
      if (String(query)) url += "?" + query;
      status.textContent = "…";
      try {
        const told = await fetch(url, {method: method.toUpperCase(), headers, body: body && body.value}), text = await told.text();
        status.textContent = told.status + " " + told.statusText; status.className = told.ok ? "ok" : "bad";
        try { answer.textContent = JSON.stringify(JSON.parse(text), null, 2); } catch { answer.textContent = text; }
        answer.hidden = false;
      } catch { status.textContent = "the gateway does not answer"; status.className = "bad"; }
    };
  });
}
fetch("/openapi.json").then(answer => answer.json()).then(api => {
  const main = document.getElementById("main"), groups = {};
  for (const [path, methods] of Object.entries(api.paths)) for (const [method, about] of Object.entries(methods)) (groups[about.tags[0]] ||= []).push([path, method, about]);
  for (const [name, list] of Object.entries(groups)) { make("h2", name, main); for (const [path, method, about] of list) operation(path, method, about, api.components.schemas, main); }
});
