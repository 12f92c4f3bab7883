package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
)

// described is the OpenAPI document of a running service, as a caller reads it.
type described struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name, In string
			Schema   map[string]any
		}
		RequestBody *struct {
			Content map[string]struct {
				Schema  map[string]any
				Example any
			}
		}
		Responses map[string]struct {
			Description string
			Content     map[string]struct{ Schema map[string]any }
		}
	}
	Components struct{ Schemas map[string]map[string]any }

	schemas map[string]*jsonschema.Schema // compiled, by pointer
}

func readDocument(t *testing.T, r *running) *described {
	t.Helper()
	raw := r.get("/openapi.json").body
	d := &described{schemas: make(map[string]*jsonschema.Schema)}
	require.NoError(t, json.Unmarshal(raw, d))
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource("openapi.json", whole))
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	for path, operations := range d.Paths {
		for method, op := range operations {
			for status, response := range op.Responses {
				for media, content := range response.Content {
					if content.Schema == nil {
						continue
					}
					at := "/paths/" + escape.Replace(path) + "/" + method + "/responses/" + status + "/content/" + escape.Replace(media) + "/schema"
					d.schemas[path+" "+method+" "+status+" "+media], err = compiler.Compile("openapi.json#" + at)
					require.NoError(t, err, at)
				}
			}
		}
	}
	return d
}

// unlike are values that no schema of ours allows everywhere: of every type, of
// every size that a parser may trip over.
var unlike = []any{
	nil, true, 0, -1, 1e300, 2.5, "", " ", "\x00", "\u202eevil\u2066", "\x1b[2J", "=1+1", "{{.}}", "<script>", "🧪", strings.Repeat("é", 30_000),
	[]any{}, []any{nil}, map[string]any{}, map[string]any{"": ""}, []any{[]any{[]any{}}},
}

// bodies are what no schema describes at all.
var bodies = []string{
	"", "null", "[]", "{", "\xff\xfe", "\ufeff{}", `{"answer":"a","answer":"b"}`, `{"Answer":"a"}`, `{} {}`, `{"items":[]}`, `"` + `\ud800` + `"`,
	strings.Repeat("[", 20_000), `{"answer":1e999}`, "id,answer\n\"", "id,id\n1,2\n", "id\n", "\n\n\n", strings.Repeat(" ", 600<<10),
}

// value draws something of a schema, or, now and then, something else.
func (d *described) value(t *rapid.T, schema map[string]any, depth int) any {
	if ref, ok := schema["$ref"].(string); ok {
		schema = d.Components.Schemas[ref[strings.LastIndexByte(ref, '/')+1:]]
	}
	if depth > 8 || seldom(t, 25) {
		return rapid.SampledFrom(unlike).Draw(t, "unlike")
	}
	if choices, ok := schema["enum"].([]any); ok {
		return rapid.SampledFrom(choices).Draw(t, "enum")
	}
	kind, ok := schema["type"].(string)
	if kinds, several := schema["type"].([]any); several {
		kind, ok = kinds[0].(string)
	}
	if !ok {
		return rapid.SampledFrom(unlike).Draw(t, "untyped")
	}
	switch kind {
	case "object":
		out := map[string]any{}
		properties, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		if choice, ok := schema["oneOf"].([]any); ok { // of members that are needed
			one, _ := choice[rapid.IntRange(0, len(choice)-1).Draw(t, "one of")].(map[string]any)
			more, _ := one["required"].([]any)
			required = append(slices.Clone(required), more...)
		}
		if not, ok := schema["not"].(map[string]any); ok { // both of two, of which one is needed
			both, _ := not["required"].([]any)
			required = append(slices.Clone(required), rapid.SampledFrom(both).Draw(t, "either"))
		}
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			needed := slices.Contains(required, any(name))
			if seldom(t, 12) != needed {
				of, _ := properties[name].(map[string]any)
				out[name] = d.value(t, of, depth+1)
			}
		}
		if seldom(t, 25) {
			out[rapid.SampledFrom([]string{"tenant", "score", "__proto__", "Answer", ""}).Draw(t, "name")] = rapid.SampledFrom(unlike).Draw(t, "value")
		}
		return out
	case "array":
		items, _ := schema["items"].(map[string]any)
		out := []any{}
		for i := range rapid.IntRange(0, 3).Draw(t, "length") {
			out = append(out, apart(t, d.value(t, items, depth+1), i))
		}
		return out
	case "string":
		if examples, ok := schema["examples"].([]any); ok && !seldom(t, 10) {
			return examples[0]
		}
		return rapid.OneOf(rapid.StringMatching(`[a-z]{1,9}`), rapid.StringMatching(`[a-z]{1,9}`), rapid.String()).Draw(t, "string")
	case "integer":
		return rapid.Int().Draw(t, "integer")
	case "number":
		return rapid.OneOf(rapid.Float64Range(-200, 200), rapid.Float64Range(-1e308, 1e308)).Draw(t, "number")
	default:
		return rapid.Bool().Draw(t, "boolean")
	}
}

// apart gives an item, mostly, an id that no other of its batch has.
func apart(t *rapid.T, item any, n int) any {
	if fields, ok := item.(map[string]any); ok && !seldom(t, 10) {
		if id, ok := fields["id"].(string); ok {
			fields["id"] = id + strconv.Itoa(n)
		}
	}
	return item
}

// seldom is true one time in n.
func seldom(t *rapid.T, n int) bool {
	// Numbers are drawn small and round more often than not.
	return rapid.Uint64().Draw(t, "seldom")*0x9e3779b97f4a7c15>>32%uint64(n) == 1
}

// call is one request, drawn.
type call struct {
	path, method, target string // path as documented
	header               http.Header
	body                 string
}

// draw makes a call of an operation, mostly as documented. known are values for
// parts of paths that exist.
func (d *described) draw(t *rapid.T, known map[string]string, keys []string) call {
	paths := slices.Sorted(maps.Keys(d.Paths))
	for range 10 {
		paths = append(paths, "/v1/grades", "/v1/batches") // where most can be wrong
	}
	path := rapid.SampledFrom(paths).Draw(t, "path")
	method := rapid.SampledFrom(slices.Sorted(maps.Keys(d.Paths[path]))).Draw(t, "method")
	op := d.Paths[path][method]
	c := call{path: path, method: strings.ToUpper(method), header: http.Header{}}
	target, query := path, url.Values{}
	for _, p := range op.Parameters {
		drawn := rapid.SampledFrom([]string{"x", "0", "-1", "99999999999999999999", "ba_none", "..", "%", "a/b", "\u202e", "a;b", "' or 1=1", strings.Repeat("y", 5000)}).Draw(t, "odd "+p.Name)
		if choices, ok := p.Schema["enum"].([]any); ok && !seldom(t, 6) {
			drawn = fmt.Sprint(rapid.SampledFrom(choices).Draw(t, "one of "+p.Name))
		}
		if kind := p.Schema["type"]; (kind == "integer" || kind == "number") && !seldom(t, 6) {
			drawn = strconv.Itoa(rapid.IntRange(0, 9).Draw(t, "number "+p.Name))
		}
		switch p.In {
		case "path":
			if !seldom(t, 4) {
				drawn = known[before(path, "{"+p.Name+"}")]
			}
			target = strings.Replace(target, "{"+p.Name+"}", url.PathEscape(drawn), 1)
		case "query":
			for seldom(t, 6) { // a batch that is followed has an end: wait is drawn like all others
				query.Add(p.Name, drawn)
			}
		case "header":
			if seldom(t, 5) {
				c.header.Set(p.Name, strconv.QuoteToASCII(drawn))
			}
		}
	}
	if seldom(t, 15) {
		query.Set("nonsense", "1")
	}
	c.target = target
	if len(query) > 0 {
		c.target += "?" + query.Encode()
	}
	if op.RequestBody != nil {
		media := rapid.SampledFrom(slices.Sorted(maps.Keys(op.RequestBody.Content))).Draw(t, "media")
		content := op.RequestBody.Content[media]
		if c.body = d.drawBody(t, media, content.Schema); content.Example != nil && seldom(t, 3) {
			c.body = shown(t, content.Example)
		}
		if seldom(t, 12) {
			media = rapid.SampledFrom([]string{"", "text/plain", "application/xml", ";", "application/json; charset=latin1", "multipart/form-data"}).Draw(t, "other media")
		}
		if seldom(t, 12) {
			c.header.Set("Content-Encoding", "gzip")
		}
		c.header.Set("Content-Type", media)
	}
	if seldom(t, 15) {
		c.method = rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"}).Draw(t, "method instead")
	}
	if key := rapid.SampledFrom(keys).Draw(t, "key"); key != "" {
		c.header.Set("Authorization", key)
	}
	c.header.Set("Accept", rapid.SampledFrom([]string{"*/*", "text/csv", "application/json;q=x", "image/png", ","}).Draw(t, "accept"))
	return c
}

// shown is an example of the document as it is sent.
func shown(t *rapid.T, example any) string {
	if text, ok := example.(string); ok {
		return text
	}
	raw, err := json.Marshal(example)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	return string(raw)
}

func (d *described) drawBody(t *rapid.T, media string, schema map[string]any) string {
	if seldom(t, 8) {
		return rapid.SampledFrom(bodies).Draw(t, "body")
	}
	if media == "text/csv" {
		rows := []string{rapid.SampledFrom([]string{"id,question_id,answer", "id;answer", "answer", "id,answer,answer", "ID,Answer"}).Draw(t, "columns")}
		for range rapid.IntRange(0, 3).Draw(t, "rows") {
			rows = append(rows, rapid.SampledFrom([]string{"a,lead-platform-engineer/first-90-days,x", "b,lead-platform-engineer/first-90-days,", "b,x", "=1,\"", ",,", "\x00,y", "c;x"}).Draw(t, "row"))
		}
		return strings.Join(rows, "\n")
	}
	lines := 1
	if media == "application/x-ndjson" {
		lines = rapid.IntRange(0, 3).Draw(t, "lines")
	}
	var out strings.Builder
	for i := range lines {
		raw, err := json.Marshal(apart(t, d.value(t, schema, 0), i))
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		out.Write(append(raw, '\n'))
	}
	return out.String()
}

func before(s, sep string) string {
	s, _, _ = strings.Cut(s, sep)
	return s
}

// hold demands of a reply what the document says.
func (d *described) hold(t *rapid.T, c call, status int, header http.Header, body []byte) {
	fatal := func(why string) {
		t.Fatalf("%s\n%s %s %v\n%.600q\n=> %d %s\n%.600q", why, c.method, c.target, c.header, c.body, status, header.Get("Content-Type"), body)
	}
	media := before(header.Get("Content-Type"), ";")
	if status >= http.StatusInternalServerError {
		fatal("nothing that is sent may break the service") // it is neither overloaded nor without its store here
	}
	if status >= http.StatusBadRequest && c.method != http.MethodHead {
		var p api.Problem
		if media != api.ProblemMedia || json.Unmarshal(body, &p) != nil || p.Status != status {
			fatal("a failure is a problem")
		}
		if !slices.ContainsFunc(api.ProblemTypes(), func(k api.ProblemType) bool { return k.Type == p.Type && k.Status == status }) {
			fatal("the type of the problem is in the catalogue")
		}
	}
	op, documented := d.Paths[c.path][strings.ToLower(c.method)]
	if !documented || (status == http.StatusNotFound && strings.Contains(string(body), api.NotFound.Type)) {
		return // the path, with what was put into it, is another
	}
	response, ok := op.Responses[strconv.Itoa(status)]
	if !ok {
		fatal("the status is documented")
	}
	if len(body) == 0 {
		return
	}
	if _, ok := response.Content[media]; !ok {
		fatal("the media type is documented")
	}
	if media == api.ProblemMedia {
		var p api.Problem
		if json.Unmarshal(body, &p) != nil || !strings.Contains(response.Description, "`"+strings.TrimPrefix(p.Type, "/problems/")+"`") {
			fatal("the problem is documented for this operation")
		}
	}
	schema := d.schemas[c.path+" "+strings.ToLower(c.method)+" "+strconv.Itoa(status)+" "+media]
	if schema == nil || !strings.HasSuffix(media, "json") { // text is text
		return
	}
	values := [][]byte{body}
	if media == "application/x-ndjson" {
		values = bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	}
	for _, raw := range values {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err == nil {
			err = schema.Validate(value)
		}
		if err != nil {
			fatal("the body is as documented: " + err.Error())
		}
	}
}

// TestTheServiceKeepsToItsDocument draws requests from /openapi.json, right ones
// and wrong ones, and demands of every reply that the document knows its status,
// its media type, its problem and its shape: API8:2023 (ASVS 16.5.1).
func TestTheServiceKeepsToItsDocument(t *testing.T) {
	t.Parallel()
	t.Run("open", func(t *testing.T) {
		t.Parallel()
		r := serve(t, settings(nil, ""))
		keepsToItsDocument(t, r, "", []string{"", "Bearer none-of-ours", "Basic eDp5"})
	})
	t.Run("with keys", func(t *testing.T) {
		t.Parallel()
		v := newVault(t)
		all, _ := v.key("acme", access.Limits{Rate: 1_000_000})
		r := v.serve(nil, all)
		keys := []string{"", "Bearer " + all, "Bearer " + all, "Bearer " + all, "Bearer " + all, "Bearer " + all, "Bearer", "Bearer none-of-ours"}
		for _, scope := range []access.Scope{access.Read, access.Grade} {
			keys = append(keys, "Bearer "+v.scoped("acme", scope))
		}
		keepsToItsDocument(t, r, all, keys)
	})
}

func keepsToItsDocument(t *testing.T, r *running, key string, keys []string) {
	d := readDocument(t, r)
	seen := map[string]int{}
	body := asking(answer(t))
	upload := api.BatchRequest{Items: []api.BatchItem{{ID: "one", Question: onCall(), Answer: answer(t)}}}
	rapid.Check(t, func(rt *rapid.T) {
		known := map[string]string{
			"/v1/grades/": *r.postAs(key, body).gradedAnyhow().ID,
			"/v1/sets/":   "lead-platform-engineer", "/v1/sets/{set}/questions/": "first-90-days", "/problems/": "internal",
		}
		made := r.with(key, http.MethodPost, "/v1/batches", upload)
		var b api.Batch
		require.NoError(t, json.Unmarshal(made.body, &b))
		known["/v1/batches/"] = b.ID
		for range 10 {
			c := d.draw(rt, known, keys)
			status, header, reply := r.send(rt, c)
			d.hold(rt, c, status, header, reply)
			seen[c.method+" "+c.path+" "+strconv.Itoa(status)]++
		}
	})
	// A fuzzer that is turned away at the door proves nothing.
	for _, want := range []string{"POST /v1/grades 200", "POST /v1/grades 422", "POST /v1/batches 202", "GET /v1/batches/{id}/results 200", "GET /v1/batches/{id}/events 200"} {
		t.Log(want, seen[want])
		require.Positive(t, seen[want], "%s; seen: %v", want, seen)
	}
}

// send sends a call as it was drawn.
func (r *running) send(t *rapid.T, c call) (int, http.Header, []byte) {
	req, err := http.NewRequestWithContext(r.t.Context(), c.method, r.url+c.target, strings.NewReader(c.body))
	if err != nil {
		t.Fatalf("%s %s: %v", c.method, c.target, err)
	}
	req.Header = c.header
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", c.method, c.target, err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", c.method, c.target, err)
	}
	return resp.StatusCode, resp.Header, raw
}

// gradedAnyhow is graded from wherever the grade came.
func (r response) gradedAnyhow() *api.Grade {
	r.t.Helper()
	return r.graded(grading.Source(r.header.Get("X-Cache")))
}

// scoped makes a key with one scope.
func (v *vault) scoped(tenant string, scopes ...access.Scope) string {
	v.t.Helper()
	clear, key := access.New()
	key.Tenant, key.Scopes, key.Created = tenant, access.ScopesOf(scopes...), time.Now()
	key.Limits = access.Limits{Rate: 1_000_000}
	require.NoError(v.t, v.store.CreateKey(v.t.Context(), key))
	return clear
}
