// Prints what AsyncAPI's own parser finds wrong in a document, and how many operations it has read.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const wrong = diagnostics.filter(({ severity }) => severity <= 1).map(({ message, path }) => `${path.join(".")}: ${message}`);
console.log(JSON.stringify({ wrong, operations: document?.operations().length ?? 0 }));
