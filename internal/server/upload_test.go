package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/batch/batchtest"
)

func TestTheSameBatchInEveryFormat(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ media, body, query string }{
		"NDJSON": {"application/x-ndjson", threeLines, ""},
		"CSV":    {"text/csv; charset=UTF-8", "id,question_id,answer\na,,one\nb,,two\nc,platform/mistake,\n", "?question_id=platform/on-call"},
		"JSON": {"application/json", `{"items":[{"id":"a","answer":"one"},{"id":"b","answer":"two"},{"id":"c","question_id":"platform/mistake","answer":""}],` +
			`"question_id":"platform/on-call"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, p := bureau(t)
			b := d.submit(tt.query, tt.body, "Content-Type: "+tt.media)
			require.Equal(t, api.BatchQueued, b.Status)
			require.Equal(t, 3, b.Total)
			require.Equal(t, 3, b.Pending)
			require.True(t, b.Durable)
			answers := map[string]string{}
			p.finish(t, b.ID, func(i batch.Item) *batch.Result { answers[i.ID] = i.Answer; return graded(i) })
			require.Equal(t, map[string]string{"a": "one", "b": "two", "c": ""}, answers)
			var ids []string
			for i, row := range d.results(b.ID, "") {
				require.Equal(t, i, row.Index)
				ids = append(ids, row.ID)
			}
			require.Equal(t, []string{"a", "b", "c"}, ids)
		})
	}
}

func TestOptionsReachTheBatch(t *testing.T) {
	t.Parallel()
	d, p := bureau(t, func(c *Config) { c.CheckWebhook = func(string) error { return nil } })
	price := .01
	p.price = &price
	limit := 2.5
	want := batch.Options{Judge: "lexical", Fallback: true, Fresh: true, Detail: "hint", MaxCost: &limit, WebhookURL: "https://example.org/hook"}
	item := `{"id":"a","question_id":"platform/on-call","answer":"x"}`
	for _, b := range []*api.Batch{
		d.submit("?judge=lexical&fallback=lexical&detail=hint&max_cost=2.5&webhook_url=https://example.org/hook&on_error=reject&dry_run=0", item, ndjson, "Cache-Control: no-cache"),
		d.submit("?judge=model&detail=full&max_cost=9", `{"items":[`+item+`],"judge":"lexical","fallback":"lexical","detail":"hint","max_cost":2.5,"webhook_url":"https://example.org/hook"}`,
			"Cache-Control: no-cache"),
	} {
		got, err := p.Get(t.Context(), batch.Key{Tenant: "local", ID: b.ID})
		require.NoError(t, err)
		require.Equal(t, want, got.Options)
	}
}

// badUploads is every way for an upload to be refused beyond those of package
// rows.
var badUploads = []struct {
	name    string
	query   string
	headers []string
	body    string
	want    api.ProblemType
	faults  string // pointer or line, and detail, of the first
}{
	{"a line that is not JSON", "", nil, threeLines + secret, api.MalformedBody, "line 4 not JSON"},
	{"a line with a wrong field", "", nil, threeLines + `{"id":"d","answr":"` + secret + `"}`, api.InvalidRequest, "line 4 /answr there is no such field"},
	{"an id twice", "", nil, threeLines + `{"id":"b","question_id":"platform/on-call","answer":"` + secret + `"}`, api.InvalidRequest, "line 4 /id line 2 has this id already"},
	{"an unknown question", "", nil, threeLines + `{"id":"d","question_id":"platform/oncall","answer":"` + secret + `"}`, api.InvalidRequest, "line 4 /question_id there is no such question; did you mean platform/on-call?"},
	{"a bad inline question", "", nil, `{"id":"d","question":{"question":"q","criteria":[{"id":"` + secret + `!","statement":""}]},"answer":"x"}`, api.InvalidRequest, "line 1 /question/criteria/0"},
	{"no items", "", []string{"Content-Type: application/json"}, `{"items":[]}`, api.InvalidRequest, "/items there are no answers"},
	{"a judge in the query", "?judge=" + secret, nil, threeLines, api.InvalidRequest, "/judge expected"},
	{"a detail in the body", "", []string{"Content-Type: application/json"}, `{"items":[{"id":"a","question_id":"platform/on-call","answer":""}],"detail":"x"}`, api.InvalidRequest, "/detail expected"},
	{"a fallback", "?fallback=auto", nil, threeLines, api.InvalidRequest, "/fallback expected"},
	{"an on_error", "?on_error=stop", nil, threeLines, api.InvalidRequest, "/on_error expected"},
	{"a cost below 0", "?max_cost=-1", nil, threeLines, api.InvalidRequest, "/max_cost a cost is not below 0"},
	{"a cost that is no number", "?max_cost=NaN", nil, threeLines, api.InvalidRequest, "query parameter max_cost: expected a number"},
	{"a cost without a price", "?max_cost=1", nil, threeLines, api.InvalidRequest, "/max_cost the price of the model is not known"},
	{"a dry run that is neither", "?dry_run=maybe", nil, threeLines, api.InvalidRequest, "query parameter dry_run: expected 1 or 0"},
	{"a misspelt parameter", "?dryrun=1", nil, threeLines, api.InvalidRequest, "there is a query parameter that is none of"},
	{"a parameter twice", "?judge=auto&judge=auto", nil, threeLines, api.InvalidRequest, "query parameter judge: given more than once"},
	{"a query that is none", "?judge=%zz", nil, threeLines, api.InvalidRequest, "the query cannot be read"},
	{"an unknown question for all", "?question_id=" + secret, nil, threeLines, api.InvalidRequest, "/question_id there is no such question"},
	{"a webhook without a secret", "?webhook_url=https://example.org", nil, threeLines, api.InvalidRequest, "/webhook_url this service sends no webhooks"},
	{"a judge there is not", "?judge=model", nil, threeLines, api.NoModel, "/judge expected"},
	{"another media type", "", []string{"Content-Type: text/plain"}, threeLines, api.UnsupportedMediaType, ""},
	{"no media type", "", []string{"Content-Type: "}, threeLines, api.UnsupportedMediaType, ""},
	{"another charset", "", []string{"Content-Type: text/csv; charset=latin1"}, "id,answer\n", api.UnsupportedMediaType, ""},
	{"a compressed body", "", []string{ndjson, "Content-Encoding: gzip"}, threeLines, api.UnsupportedMediaType, ""},
	{"an idempotency key that is none", "", []string{ndjson, "Idempotency-Key: \u00e9"}, threeLines, api.InvalidRequest, "header Idempotency-Key"},
	{"faults only, all skipped", "?on_error=skip", nil, "{}\n{}\n", api.InvalidRequest, "line 1 /id this field is missing"},
	{"a file that cannot be read, skipped", "?on_error=skip", []string{"Content-Type: text/csv"}, "id,question_id,answer\na,platform/on-call,x\nb,platform/on-call,\"" + secret, api.MalformedBody, "line 3 a quoted cell has no end"},
	{"an unknown option, skipped", "?on_error=skip", []string{"Content-Type: application/json"}, `{"items":[{"id":"a","question_id":"platform/on-call","answer":""}],"jugde":"` + secret + `"}`, api.InvalidRequest, "/jugde there is no such field"},
}

func TestBadUploadsAreRefusedWhole(t *testing.T) {
	t.Parallel()
	for _, tt := range badUploads {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, p := bureau(t)
			headers := tt.headers
			if headers == nil {
				headers = []string{ndjson}
			}
			r := d.send("POST", "/v1/batches"+tt.query, tt.body, headers...)
			found := problem(t, r)
			require.Equal(t, tt.want.Type, found.Type, "%s", r.body)
			require.Equal(t, tt.want.Status, r.StatusCode)
			if tt.faults != "" {
				require.NotEmpty(t, found.Errors)
				f := found.Errors[0]
				text := strings.TrimSpace(f.Pointer + " " + f.Detail)
				if f.Line > 0 {
					text = fmt.Sprintf("line %d %s", f.Line, text)
				}
				require.Contains(t, text, tt.faults)
			}
			require.NotContains(t, string(r.body), secret)
			require.NotContains(t, d.log.String(), secret)
			require.Zero(t, p.store.Calls("Commit"), "accepted nevertheless")
			active, err := p.store.Active(t.Context())
			require.NoError(t, err)
			require.Empty(t, active)
		})
	}
}

// Fault 50: line 4711 of a large upload is bad.
func TestALineOfThousandsIsNamed(t *testing.T) {
	t.Parallel()
	d, p := bureau(t)
	var body strings.Builder
	for i := 1; i <= 6000; i++ {
		if i == 4711 {
			body.WriteString(`{"id":"x","answer":` + secret + "}\n")
			continue
		}
		fmt.Fprintf(&body, `{"id":"i%d","question_id":"platform/on-call","answer":"x"}`+"\n", i)
	}
	first := d.send("POST", "/v1/batches", body.String(), ndjson)
	require.Equal(t, api.MalformedBody.Status, first.StatusCode)
	found := problem(t, first)
	require.Len(t, found.Errors, 1)
	require.Equal(t, 4711, found.Errors[0].Line)
	require.Equal(t, first.body, d.send("POST", "/v1/batches", body.String(), ndjson).body, "the same answer each time")
	require.Zero(t, p.store.Calls("Commit"))

	b := d.submit("?on_error=skip", body.String(), ndjson)
	require.Equal(t, 5999, b.Total)
	require.Equal(t, 1, b.Skipped)
	require.Equal(t, found.Errors, b.Errors)
	read := d.get("/v1/batches/" + b.ID)
	require.NotContains(t, string(read.body), "skipped", "only the answer to the upload says why")
}

func TestDryRunEstimates(t *testing.T) {
	t.Parallel()
	d, p := bureau(t)
	price := .25
	p.price = &price
	p.kept["two"] = true
	r := d.send("POST", "/v1/batches?dry_run=1&on_error=skip", threeLines+`{"id":"d","question_id":"platform/on-call","answer":"two"}`+"\n{}", ndjson, "Idempotency-Key: k")
	require.Equal(t, http.StatusOK, r.StatusCode, "%s", r.body)
	require.Empty(t, r.Header.Get("Location"))
	var got api.BatchEstimate
	require.NoError(t, json.Unmarshal(r.body, &got))
	cost := .5
	require.Equal(t, api.BatchEstimate{
		Items: 4, Distinct: 3, Cached: 2, Skipped: 1, Usage: api.Usage{Calls: 2, PromptTokens: 2000, CostUSD: &cost},
		Errors: []api.Fault{{Line: 5, Pointer: "/id", Detail: "this field is missing"}, {Line: 5, Pointer: "/answer", Detail: "this field is missing"}},
	}, got)
	require.Zero(t, p.store.Calls("Stage")+p.store.Calls("Commit")+p.store.Calls("Reserve"))
}

// Faults 43 to 45: the same submission again, another body, another tenant.
func TestSubmissionsWithAKeyAreAcceptedOnce(t *testing.T) {
	t.Parallel()
	d, p := bureau(t)
	const key = "Idempotency-Key: once-1"
	var wg sync.WaitGroup
	replies := make([][]reply, 20) // of each, who comes again as long as told to
	for i := range replies {
		wg.Go(func() {
			for again := true; again; {
				r := d.send("POST", "/v1/batches", threeLines, ndjson, key)
				replies[i] = append(replies[i], r)
				again = r.Header.Get("Retry-After") != ""
			}
		})
	}
	wg.Wait()
	ids := map[string]bool{}
	for _, of := range replies {
		last := of[len(of)-1]
		require.Equal(t, http.StatusAccepted, last.StatusCode, "%s", last.body)
		ids[last.Header.Get("Location")] = true
		for _, r := range of[:len(of)-1] { // too many at once, or the first is not answered yet
			require.Contains(t, []string{api.Overloaded.Type, api.IdempotencyInProgress.Type}, problem(t, r).Type)
		}
	}
	require.Len(t, ids, 1, "one batch")
	again := d.send("POST", "/v1/batches", threeLines, ndjson, key)
	require.Equal(t, http.StatusAccepted, again.StatusCode)
	require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
	require.True(t, ids[again.Header.Get("Location")])

	for name, other := range map[string]reply{
		"one byte more":      d.send("POST", "/v1/batches", threeLines+"\n", ndjson, key),
		"another option":     d.send("POST", "/v1/batches?detail=hint", threeLines, ndjson, key),
		"another media type": d.send("POST", "/v1/batches?question_id=platform/on-call", "id,answer\na,x\n", "Content-Type: text/csv", key),
		"a fresh grade":      d.send("POST", "/v1/batches", threeLines, ndjson, key, "Cache-Control: no-cache"),
	} {
		require.Equal(t, api.IdempotencyKeyReused.Type, problem(t, other).Type, name)
	}
	active, err := p.store.Active(t.Context())
	require.NoError(t, err)
	require.Len(t, active, 1)
	require.NotEqual(t, d.submit("", threeLines, ndjson).ID, d.submit("", threeLines, ndjson).ID, "without a key each is another")
}

func TestARefusedSubmissionDoesNotUseUpItsKey(t *testing.T) {
	t.Parallel()
	d, _ := bureau(t)
	require.Equal(t, 400, d.send("POST", "/v1/batches", threeLines+"{", ndjson, "Idempotency-Key: k").StatusCode)
	d.submit("", threeLines, ndjson, "Idempotency-Key: k")
}

func TestWhatTheStoreRefusesIsSaid(t *testing.T) {
	t.Parallel()
	d, p := bureau(t)
	for err, want := range map[error]api.ProblemType{
		batch.ErrStorageFull: api.StorageFull, batch.ErrNotDurable: api.StorageNotDurable, errors.New("x"): api.Internal,
	} {
		p.mu.Lock()
		p.admit = err
		p.mu.Unlock()
		r := d.send("POST", "/v1/batches", threeLines, ndjson)
		require.Equal(t, want.Type, problem(t, r).Type)
		require.Equal(t, want.Status == 503, r.Header.Get("Retry-After") != "")
	}
}

// A store that is lost while rows are staged is not the caller's doing, whatever
// the loss looks like.
func TestAStoreThatIsLostIsNotABodyCutShort(t *testing.T) {
	t.Parallel()
	d, p := bureau(t, func(c *Config) { c.StoreDown = func(err error) bool { return errors.Is(err, batchtest.ErrDown) } })
	for _, lost := range []error{io.ErrUnexpectedEOF, io.EOF, os.ErrDeadlineExceeded} {
		p.store.FailWith(func(method string) error {
			if method == "Stage" {
				return fmt.Errorf("%w: %w", batchtest.ErrDown, &net.OpError{Op: "read", Err: lost})
			}
			return nil
		})
		r := d.send("POST", "/v1/batches", fortyLines(), ndjson)
		require.Equal(t, api.StoreUnavailable.Type, problem(t, r).Type, "%v", lost)
		require.Equal(t, "5", r.Header.Get("Retry-After"))
	}
	require.Zero(t, p.store.Calls("Commit"))
}
