package prompt

import (
	"encoding/json"
	"strconv"
	"strings"
)

// schemaVersion counts the shapes that a reply has had. It is part of Digest.
const schemaVersion = 1

// MaxQuotes is how many quotes a reply may give for one criterion.
const MaxQuotes = 3

// Schema is the JSON Schema of the reply about n criteria, in the strict
// profile: every member required, no others allowed. It is written by hand
// because models write members in the order of the schema, and evidence has to
// come before the verdict that rests on it. The bytes must not be changed.
func (p *Prompts) Schema(n int) json.RawMessage {
	if kept, found := p.schemas.Load(n); found {
		return kept.(json.RawMessage)
	}
	made, _ := p.schemas.LoadOrStore(n, schema(n))
	return made.(json.RawMessage)
}

func schema(n int) json.RawMessage {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Quote(CriterionName(i))
	}
	count := strconv.Itoa(n)
	return json.RawMessage(`{"type":"object","properties":{"criteria":{"type":"array","minItems":` + count + `,"maxItems":` + count +
		`,"items":{"type":"object","properties":{` +
		`"id":{"type":"string","enum":[` + strings.Join(names, ",") + `]},` +
		`"evidence":{"type":"array","maxItems":` + strconv.Itoa(MaxQuotes) + `,"items":{"type":"string"}},` +
		`"compare":{"type":"string"},` +
		`"verdict":{"type":"string","enum":["met","partial","missed","contradicted","cannot_assess"]},` +
		`"confidence":{"type":"integer","minimum":0,"maximum":100}},` +
		`"required":["id","evidence","compare","verdict","confidence"],"additionalProperties":false}}},` +
		`"required":["criteria"],"additionalProperties":false}`)
}

func schemaName(n int) string { return "verdicts_" + strconv.Itoa(n) }
