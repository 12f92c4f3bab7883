package server

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// checkBatches holds replies about batches against the document.
func checkBatches(t *testing.T, check func(name, method, path string, r reply)) {
	t.Helper()
	d, p := bureau(t)
	created := d.send("POST", "/v1/batches", threeLines, ndjson)
	check("accepted", "POST", "/v1/batches", created)
	check("skipped", "POST", "/v1/batches", d.send("POST", "/v1/batches?on_error=skip", threeLines+"{}", ndjson))
	check("estimate", "POST", "/v1/batches", d.send("POST", "/v1/batches?dry_run=1", threeLines, ndjson))
	path := created.Header.Get("Location")
	check("queued", "GET", "/v1/batches/{id}", d.get(path))
	p.finish(t, strings.TrimPrefix(path, "/v1/batches/"), func(i batch.Item) *batch.Result {
		if i.ID == "b" {
			return &batch.Result{Status: batch.RowFailed, Reason: batch.ReasonWorkerCrash}
		}
		return graded(i)
	})
	check("completed", "GET", "/v1/batches/{id}", d.get(path))
	check("no batch", "GET", "/v1/batches/{id}", d.get("/v1/batches/ba_none"))
	const results = "/v1/batches/{id}/results"
	check("array", "GET", results, d.get(path+"/results?format=json"))
	check("cells", "GET", results, d.get(path+"/results?format=csv"))
	check("bad format", "GET", results, d.get(path+"/results?format=xml"))
	check("no results", "GET", results, d.get("/v1/batches/ba_none/results"))
	whole := d.get(path + "/results")
	for line := range strings.Lines(string(whole.body)) {
		check("line", "GET", results, reply{whole.Response, []byte(line)})
	}
	const events = "/v1/batches/{id}/events"
	check("events", "GET", events, d.get(path+"/events"))
	check("no more events", "GET", events, d.get(path+"/events", "Last-Event-ID: 1000000"))
	check("no events", "GET", events, d.get("/v1/batches/ba_none/events"))
	check("bad purge", "DELETE", "/v1/batches/{id}", d.send("DELETE", path+"?purge=x", ""))
	check("cancelled", "DELETE", "/v1/batches/{id}", d.send("DELETE", path, ""))
	check("erased", "DELETE", "/v1/batches/{id}", d.send("DELETE", path+"?purge=1", ""))
	check("not there", "DELETE", "/v1/batches/{id}", d.send("DELETE", path, ""))
}

// TestExamplesOfUploadsAreAccepted sends what the document shows.
func TestExamplesOfUploadsAreAccepted(t *testing.T) {
	t.Parallel()
	d, _ := bureau(t, func(c *Config) { c.Library = anyLibrary{c.Library} })
	var document struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct{ Example any }
			}
		}
	}
	require.NoError(t, json.Unmarshal(d.get("/openapi.json").body, &document))
	content := document.Paths["/v1/batches"]["post"].RequestBody.Content
	require.Len(t, content, 3)
	for media, c := range content {
		body, isText := c.Example.(string)
		if !isText {
			raw, err := json.Marshal(c.Example)
			require.NoError(t, err)
			body = string(raw)
		}
		b := d.submit("", body, "Content-Type: "+media)
		require.Equal(t, 2, b.Total, media)
	}
	schema := readSpec(t, d).compile(t, "/components/schemas/BatchRequest")
	example, err := json.Marshal(exampleUpload)
	require.NoError(t, err)
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(example)))
	require.NoError(t, err)
	require.NoError(t, schema.Validate(value))
	for _, bad := range []string{`{}`, `{"items":[{"id":"a","answer":"x","anwser":""}]}`, `{"items":[{"id":"!","answer":"x"}]}`, `{"items":[{"id":"a"}]}`,
		`{"items":[{"id":"a","answer":"","question_id":"a/b","question":{"question":"q","criteria":[{"id":"a","statement":"s"}]}}]}`, `{"items":[],"jugde":""}`} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
		require.NoError(t, err)
		require.Error(t, schema.Validate(value), bad)
		require.NotEqual(t, http.StatusAccepted, d.send("POST", "/v1/batches", bad).StatusCode)
	}
}

// anyLibrary has every question.
type anyLibrary struct{ Library }

func (l anyLibrary) Find(string) (*rubric.Question, error) { return l.Library.Find("platform/on-call") }
