package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// withMetrics gives every route there is.
func withMetrics(c *Config) {
	c.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("# nothing\n")) })
}

// spec is the document as a reader sees it.
type spec struct {
	OpenAPI    string
	Paths      map[string]map[string]specOperation
	Components struct {
		Schemas map[string]map[string]any
	}
	raw any
}

type specOperation struct {
	OperationID string
	Summary     string
	Description string
	Security    []map[string][]string
	Parameters  []struct {
		Name, In string
		Required bool
		Schema   struct {
			Type string
			Enum []string
		}
	}
	RequestBody *struct {
		Content map[string]struct{ Schema map[string]any }
	}
	Responses map[string]struct {
		Description string
		Headers     map[string]any
		Content     map[string]struct{ Schema map[string]any }
	}
}

func readSpec(t *testing.T, d *door) *spec {
	t.Helper()
	body := d.get("/openapi.json").body
	var s spec
	require.NoError(t, json.Unmarshal(body, &s))
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	require.NoError(t, err)
	s.raw = raw
	return &s
}

// compile compiles a schema of the document by its JSON pointer.
func (s *spec) compile(t *testing.T, pointer string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020) // what OpenAPI 3.1 schemas are
	c.AssertFormat()
	require.NoError(t, c.AddResource("openapi.json", s.raw))
	schema, err := c.Compile("openapi.json#" + pointer)
	require.NoError(t, err)
	return schema
}

func TestOpenAPIDocument(t *testing.T) {
	t.Parallel()
	d := open(t, withMetrics)
	golden(t, "openapi.json", d.get("/openapi.json").body)
	s := readSpec(t, d)
	require.Equal(t, "3.1.0", s.OpenAPI)
	for name := range s.Components.Schemas {
		s.compile(t, "/components/schemas/"+name)
	}
	require.Equal(t, false, s.Components.Schemas["GradeRequest"]["additionalProperties"])
	require.NotContains(t, s.Components.Schemas["Grade"], "additionalProperties", "replies may grow")
}

func TestEveryRouteIsDocumentedAndEveryDocumentedRouteServed(t *testing.T) {
	t.Parallel()
	d := open(t, withMetrics)
	s := readSpec(t, d)
	var documented, served []string
	for path, operations := range s.Paths {
		for method, op := range operations {
			documented = append(documented, strings.ToUpper(method)+" "+path)
			require.NotEmpty(t, op.OperationID)
			require.NotEmpty(t, op.Summary)
			var inPath []string
			for _, p := range op.Parameters {
				if p.In == "path" {
					require.True(t, p.Required)
					inPath = append(inPath, "{"+p.Name+"}")
				}
			}
			for _, part := range strings.Split(path, "/") {
				if strings.HasPrefix(part, "{") {
					require.Contains(t, inPath, part)
				}
			}
		}
	}
	for _, route := range d.server.engine.Routes() {
		if route.Method == http.MethodHead || route.Path == "/docs/*file" {
			continue // as GET; the files of a page
		}
		parts := strings.Split(route.Path, "/")
		for i, part := range parts {
			if name, ok := strings.CutPrefix(part, ":"); ok {
				parts[i] = "{" + name + "}"
			}
		}
		served = append(served, route.Method+" "+strings.Join(parts, "/"))
	}
	slices.Sort(documented)
	slices.Sort(served)
	require.Equal(t, documented, served)
}

func TestEveryProblemTypeIsDocumented(t *testing.T) {
	t.Parallel()
	s := readSpec(t, open(t))
	all := fmt.Sprint(s.Components.Schemas["Problem"]["properties"])
	for _, kind := range api.ProblemTypes() {
		require.Contains(t, all, kind.Type)
		if kind == api.NotFound || kind == api.MethodNotAllowed {
			continue // of no operation
		}
		found := false
		for _, operations := range s.Paths {
			for _, op := range operations {
				found = found || strings.Contains(op.Responses[fmt.Sprint(kind.Status)].Description, "`"+kind.Slug()+"`")
				found = found || strings.Contains(op.Description, "`"+kind.Slug()+"`") // of rows
			}
		}
		require.True(t, found, "no operation documents %s", kind.Slug())
	}
}

// TestRepliesAreAsDocumented sends requests of every outcome and holds each
// reply against the schema that the document gives for its status.
func TestRepliesAreAsDocumented(t *testing.T) {
	t.Parallel()
	d := open(t, withMetrics)
	s := readSpec(t, d)
	d.grader.find = func(grading.Key) (*grading.Record, error) { return record(judge.Usage{}), nil }

	check := func(name, method, path string, r reply) {
		t.Helper()
		op, ok := s.Paths[path][strings.ToLower(method)]
		require.True(t, ok, "%s %s", method, path)
		status := fmt.Sprint(r.StatusCode)
		response, ok := op.Responses[status]
		require.True(t, ok, "%s: %s %s answers %s, which is not documented", name, method, path, status)
		for header := range response.Headers {
			streamed := header == "X-Cache" && r.Header.Get("Content-Type") == eventStream // has none, as the document says
			require.Equal(t, streamed, r.Header.Get(header) == "", "%s: header %s", name, header)
		}
		media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		if len(r.body) == 0 {
			require.Empty(t, response.Content, name)
			return
		}
		content, ok := response.Content[media]
		require.True(t, ok, "%s: %s is not documented", name, media)
		if media == api.ProblemMedia {
			var p api.Problem
			require.NoError(t, json.Unmarshal(r.body, &p))
			slug := strings.TrimPrefix(p.Type, "/problems/")
			require.Contains(t, response.Description, "`"+slug+"`", "%s: %s %s %s", name, method, path, status)
		}
		if content.Schema == nil {
			return
		}
		escape := strings.NewReplacer("~", "~0", "/", "~1")
		schema := s.compile(t, "/paths/"+escape.Replace(path)+"/"+strings.ToLower(method)+
			"/responses/"+status+"/content/"+escape.Replace(media)+"/schema")
		var value any = string(r.body)
		if strings.HasSuffix(media, "json") {
			var err error
			value, err = jsonschema.UnmarshalJSON(bytes.NewReader(r.body))
			require.NoError(t, err)
		}
		require.NoError(t, schema.Validate(value), "%s: %s", name, r.body)
	}

	check("graded", "POST", "/v1/grades", d.post(asked))
	check("streamed", "POST", "/v1/grades", d.post(asked, acceptEvents))
	for _, tt := range badRequests {
		check(tt.name, "POST", "/v1/grades", d.post(tt.body, tt.headers...))
	}
	check("other site", "POST", "/v1/grades", d.post(asked, "Sec-Fetch-Site: cross-site"))
	for _, tt := range errorsAtTheEdge {
		if strings.HasPrefix(tt.name, "batch.") {
			if tt.want != api.UnknownBatch {
				refusing, p := bureau(t)
				p.admit = tt.err
				check(tt.name, "POST", "/v1/batches", refusing.send("POST", "/v1/batches", threeLines, ndjson))
			}
			continue
		}
		if tt.want == api.UnknownGrade {
			continue // not of this call
		}
		broken := open(t)
		broken.grader.grade = func(context.Context, grading.Request) (grading.Result, error) {
			return grading.Result{}, tt.err
		}
		check(tt.name, "POST", "/v1/grades", broken.post(asked))
	}
	check("unscored", "POST", "/v1/grades", unscored(t))
	check("kept", "GET", "/v1/grades/{id}", d.get("/v1/grades/"+someGrade))
	check("bad detail", "GET", "/v1/grades/{id}", d.get("/v1/grades/"+someGrade+"?detail=x"))
	check("not kept", "GET", "/v1/grades/{id}", d.get("/v1/grades/none"))
	check("forgotten", "DELETE", "/v1/grades/{id}", d.send("DELETE", "/v1/grades/"+someGrade, ""))
	for _, tt := range badUploads {
		headers := tt.headers
		if headers == nil {
			headers = []string{ndjson}
		}
		check(tt.name, "POST", "/v1/batches", d.send("POST", "/v1/batches"+tt.query, tt.body, headers...))
	}
	checkBatches(t, check)
	check("sets", "GET", "/v1/sets", d.get("/v1/sets"))
	check("unchanged sets", "GET", "/v1/sets", d.get("/v1/sets", "If-None-Match: *"))
	check("set", "GET", "/v1/sets/{set}", d.get("/v1/sets/platform"))
	check("no set", "GET", "/v1/sets/{set}", d.get("/v1/sets/none"))
	check("question", "GET", "/v1/sets/{set}/questions/{question}", d.get("/v1/sets/platform/questions/on-call?include=sample_answer"))
	check("no question", "GET", "/v1/sets/{set}/questions/{question}", d.get("/v1/sets/platform/questions/none"))
	check("bad include", "GET", "/v1/sets/{set}/questions/{question}", d.get("/v1/sets/platform/questions/none?include=x"))
	check("no key", "GET", "/v1/sets", locked(t).get("/v1/sets"))
	check("alive", "GET", "/healthz", d.get("/healthz"))
	check("ready", "GET", "/readyz", d.get("/readyz"))
	red := api.Unready
	check("not ready", "GET", "/readyz", open(t, func(c *Config) { c.Health = healthOf(&red) }).get("/readyz"))
	check("problems", "GET", "/problems", d.get("/problems"))
	check("problem", "GET", "/problems/{slug}", d.get("/problems/internal"))
	check("no problem", "GET", "/problems/{slug}", d.get("/problems/none"))
	check("document", "GET", "/openapi.json", d.get("/openapi.json"))
	check("docs", "GET", "/docs", d.get("/docs"))
	check("page", "GET", "/", d.get("/"))
	check("metrics", "GET", "/metrics", d.get("/metrics"))
}

// unscored is the reply for a grade with nothing that may be null.
func unscored(t *testing.T) reply {
	t.Helper()
	d := open(t)
	g, err := record(judge.Usage{}).Grade()
	require.NoError(t, err)
	bare := *g
	bare.ID, bare.Score, bare.Band = nil, nil, nil
	bare.Status, bare.Review = grading.NeedsReview, grading.Review{Needed: true, Reasons: []string{"refused"}}
	r, err := grading.NewRecord(bare, false, nil)
	require.NoError(t, err)
	d.grader.grade = always200(grading.Result{Record: r, Source: grading.Miss})
	return d.post(asked)
}

// TestRequestsAreJudgedAsDocumented holds the bad requests against the
// request's schema: what the document allows must not be refused as invalid.
func TestRequestsAreJudgedAsDocumented(t *testing.T) {
	t.Parallel()
	d := open(t)
	schema := readSpec(t, d).compile(t, "/components/schemas/GradeRequest")
	good, err := jsonschema.UnmarshalJSON(strings.NewReader(asked))
	require.NoError(t, err)
	require.NoError(t, schema.Validate(good))
	beyondSchemas := []string{ // what a JSON Schema cannot say
		"several things are wrong at once", "values of a question are off the menu", "a criterion is null",
	}
	for _, tt := range badRequests {
		if tt.status != http.StatusUnprocessableEntity || slices.Contains(beyondSchemas, tt.name) {
			continue
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(tt.body))
		if err != nil {
			continue // deeper than this validator reads
		}
		if tt.name == "a weight is beyond all numbers" {
			continue
		}
		require.Error(t, schema.Validate(value), tt.name)
	}
}

// TestQueriesAreJudgedAsDocumented sends every value that the document lists for
// a parameter, and some that it does not.
func TestQueriesAreJudgedAsDocumented(t *testing.T) {
	t.Parallel()
	d, _ := bureau(t)
	d.grader.find = func(grading.Key) (*grading.Record, error) { return record(judge.Usage{}), nil }
	cancelled := d.submit("", threeLines, ndjson).ID
	d.send("DELETE", "/v1/batches/"+cancelled, "")
	sent := 0
	for path, operations := range readSpec(t, d).Paths {
		for method, op := range operations {
			for _, p := range op.Parameters {
				if p.In != "query" {
					continue
				}
				good, bad := p.Schema.Enum, []string{"", "x", "-1"}
				switch {
				case p.Name == "max_cost":
					good, bad = nil, []string{"", "x", "-1", "NaN"} // here no price is known
				case p.Schema.Type == "integer":
					good, bad = []string{"0", "7"}, []string{"", "x", "-1"}
				case good == nil:
					bad = []string{""} // any other text may do
				}
				send := func(value string) reply {
					id, body := cancelled, ""
					if strings.Contains(path, "grades") {
						id = someGrade
					}
					if method == "post" {
						body = threeLines
					}
					at := strings.NewReplacer("{id}", id, "{set}", "platform", "{question}", "on-call").Replace(path)
					sent++
					return d.send(strings.ToUpper(method), at+"?"+p.Name+"="+value, body, ndjson)
				}
				for _, value := range bad {
					require.Equal(t, http.StatusUnprocessableEntity, send(value).StatusCode, "%s %s?%s=%s", method, path, p.Name, value)
				}
				for _, value := range good {
					if p.Name == "purge" && (value == "true" || value == "1") || p.Name == "judge" && value == "model" {
						continue // would erase the batch; there is no model here
					}
					require.Less(t, send(value).StatusCode, 300, "%s %s?%s=%s", method, path, p.Name, value)
				}
			}
		}
	}
	require.Greater(t, sent, 40)
}

// TestLimitsOfAQuestionAreDocumented holds the limits in the document to those
// that package rubric keeps.
func TestLimitsOfAQuestionAreDocumented(t *testing.T) {
	t.Parallel()
	schemas := readSpec(t, open(t)).Components.Schemas
	for schema, limits := range map[string]map[string]float64{
		"Question": {
			"id": rubric.MaxID, "question": rubric.MaxQuestion, "intent": rubric.MaxIntent, "guidance": rubric.MaxGuidance,
			"sample_answer": rubric.MaxSampleAnswer, "criteria": rubric.MaxCriteria,
		},
		"Criterion": {
			"id": rubric.MaxID, "statement": rubric.MaxStatement, "partial": rubric.MaxPartial, "hint": rubric.MaxHint, "phrases": rubric.MaxPhrases,
		},
	} {
		properties, _ := schemas[schema]["properties"].(map[string]any)
		for name, limit := range limits {
			property, _ := properties[name].(map[string]any)
			most, counted := property["maxLength"]
			if !counted {
				most = property["maxItems"]
			}
			require.Equal(t, limit, most, "%s.%s", schema, name)
		}
	}
}
