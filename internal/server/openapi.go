package server

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gradus-ai/gradus/internal/api"
)

// everywhere lists the problems that a guarded route may answer with whatever
// it does; open routes have only the last two.
var everywhere = []api.ProblemType{api.KeyNeeded, api.CrossOrigin, api.ForbiddenScope, api.RateLimited, api.KeysUnavailable, api.Misdirected, api.Internal}

// describe renders the OpenAPI 3.1 document of the endpoints.
func describe(list []endpoint, version string) ([]byte, error) {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:       "gradus",
			Version:     cmp.Or(version, "dev"),
			Description: "Grades written answers against a rubric: a verdict on each criterion with a quote to prove it, a score, and what to fix first.",
			License:     &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
		},
		Components: &huma.Components{
			Schemas: registry,
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"key": {Type: "http", Scheme: "bearer", Description: "An API key. A service without keys needs none. Each call needs one scope of the key, named in its description. " +
					"Replies to a key with a rate say in RateLimit what is left of this minute and in RateLimit-Policy of how much."},
			},
		},
		Tags: []*huma.Tag{
			{Name: "grades", Description: "Answers in, grades out."},
			{Name: "batches", Description: "Many answers as one unit."},
			{Name: "questions", Description: "What can be answered."},
			{Name: "service", Description: "About the service itself."},
		},
	}
	problem := registry.Schema(reflect.TypeFor[api.Problem](), true, "")
	for _, ep := range list {
		doc.AddOperation(describeOne(ep, registry, problem))
	}
	polish(registry)
	body, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode OpenAPI document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, body, "", "  "); err != nil {
		return nil, fmt.Errorf("indent OpenAPI document: %w", err)
	}
	return append(out.Bytes(), '\n'), nil
}

func describeOne(ep endpoint, registry huma.Registry, problem *huma.Schema) *huma.Operation {
	d := ep.doc
	op := &huma.Operation{
		OperationID: d.id, Method: ep.method, Path: ep.path,
		Tags: []string{d.tag}, Summary: d.summary, Description: d.description,
		Responses: map[string]*huma.Response{},
		Security:  []map[string][]string{},
	}
	if !ep.open {
		op.Security = []map[string][]string{{"key": {}}, {}}
		op.Description = strings.TrimSpace(d.description + "\n\nNeeds the scope `" + string(ep.scope()) + "`.")
	}
	for _, p := range d.params {
		schema := &huma.Schema{Type: huma.TypeString, Enum: p.enum}
		switch {
		case p.schema != nil:
			schema = p.schema
		case p.in == "query" && p.enum == nil:
			schema.MinLength = new(1)
		}
		op.Parameters = append(op.Parameters, &huma.Param{Name: p.name, In: p.in, Description: p.description, Required: p.in == "path", Schema: schema})
	}
	if d.request != nil {
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json": {Schema: registry.Schema(d.request, true, ""), Example: d.example},
		}}
		for _, other := range d.accepts {
			op.RequestBody.Content[other.media] = other.describe(registry)
		}
	}
	success := func(status int, response reflect.Type) {
		r := &huma.Response{Description: http.StatusText(status), Headers: map[string]*huma.Param{"X-Request-Id": text("Names this request in the service's logs.")}}
		if d.graded {
			r.Headers["X-Cache"] = &huma.Param{
				Description: "Where the grade came from. A stream of events has none.",
				Schema:      &huma.Schema{Type: huma.TypeString, Enum: []any{"hit", "miss", "shared"}},
			}
		}
		if d.tagged {
			r.Headers["ETag"] = text("Send it as If-None-Match to be told that nothing has changed.")
		}
		if d.located && status == d.status {
			r.Headers["Location"] = text("Where to read it.")
		}
		if status != http.StatusNoContent {
			r.Content = map[string]*huma.MediaType{cmp.Or(d.media, "application/json"): content{of: response}.describe(registry)}
			for _, other := range d.offers {
				r.Content[other.media] = other.describe(registry)
			}
		}
		op.Responses[strconv.Itoa(status)] = r
	}
	success(d.status, d.response)
	for _, status := range d.also {
		success(status, d.response)
	}
	for status, response := range d.others {
		success(status, response)
	}
	if d.tagged {
		op.Responses["304"] = &huma.Response{Description: "Unchanged since the ETag in If-None-Match."}
	}
	for status, types := range byStatus(ep) {
		r := &huma.Response{
			Description: describeProblems(types),
			Content:     map[string]*huma.MediaType{api.ProblemMedia: {Schema: problem}},
		}
		switch status {
		case http.StatusUnauthorized:
			r.Headers = map[string]*huma.Param{"WWW-Authenticate": text("Bearer.")}
		case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusConflict:
			r.Headers = map[string]*huma.Param{"Retry-After": {Description: "Seconds to wait.", Schema: &huma.Schema{Type: huma.TypeInteger}}}
		}
		op.Responses[strconv.Itoa(status)] = r
	}
	return op
}

func (b content) describe(registry huma.Registry) *huma.MediaType {
	media := &huma.MediaType{Example: b.example}
	if b.of != nil {
		media.Schema = registry.Schema(b.of, true, "")
	}
	return media
}

// byStatus is every problem an endpoint may answer with.
func byStatus(ep endpoint) map[int][]api.ProblemType {
	out := map[int][]api.ProblemType{}
	types := slices.Concat(ep.doc.problems, everywhere)
	if ep.holds {
		types = append(types, api.TooManyInFlight, api.TokenBudgetSpent)
	}
	if ep.open {
		types = append(slices.Clone(ep.doc.problems), api.Misdirected, api.Internal)
	}
	for _, t := range types {
		out[t.Status] = append(out[t.Status], t)
	}
	return out
}

func describeProblems(types []api.ProblemType) string {
	lines := make([]string, len(types))
	for i, t := range types {
		lines[i] = "`" + t.Slug() + "`: " + t.Title + "."
	}
	return strings.Join(lines, "\n\n")
}

func text(description string) *huma.Param {
	return &huma.Param{Description: description, Schema: &huma.Schema{Type: huma.TypeString}}
}

// strictSchemas are those of requests: unknown fields are refused there, while
// replies may grow fields that a reader has to expect.
var strictSchemas = []string{"GradeRequest", "Question", "Criterion", "BatchRequest", "BatchItem"}

// polish says what struct tags cannot.
func polish(registry huma.Registry) {
	for name, schema := range registry.Map() {
		if !slices.Contains(strictSchemas, name) {
			schema.AdditionalProperties = nil
		}
		for _, property := range schema.Properties {
			if property.Nullable && len(property.Enum) > 0 {
				property.Enum = append(property.Enum, nil) // "null" is a value too
			}
		}
	}
	for _, name := range []string{"grade", "error"} {
		if row := registry.Map()["ResultRow"]; row != nil {
			p := row.Properties[name]
			row.Properties[name] = &huma.Schema{Description: p.Description, AnyOf: []*huma.Schema{{Ref: p.Ref}, {Type: "null"}}}
		}
	}
	types := api.ProblemTypes()
	enum := make([]any, len(types))
	for i, t := range types {
		enum[i] = t.Type
	}
	registry.Map()["Problem"].Properties["type"].Enum = enum
	// Exactly one of the two names the question.
	if item := registry.Map()["BatchItem"]; item != nil {
		item.Not = &huma.Schema{Required: []string{"question_id", "question"}}
	}
	registry.Map()["GradeRequest"].OneOf = []*huma.Schema{{Required: []string{"question_id"}}, {Required: []string{"question"}}}
}
