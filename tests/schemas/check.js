// The verdicts of ajv on many bodies: {"schema", "bodies"} on standard input, a list of what is
// wrong with each (null: nothing) on standard output. Strict, so that a schema that means nothing
// is an error.
"use strict";
const Ajv = require("ajv/dist/2020");
const { schema, bodies } = JSON.parse(require("fs").readFileSync(0, "utf8"));
// A native name may be refused by itself and by its beginning.
const ajv = new Ajv({ strict: true, allowUnionTypes: true, allowMatchingProperties: true });
const valid = ajv.compile(schema);
const verdicts = bodies.map((body) => (valid(body) ? null : ajv.errorsText(valid.errors)));
process.stdout.write(JSON.stringify(verdicts));
